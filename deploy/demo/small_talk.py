"""Messages of students, their pauses, and their replies. Pure: the caller passes the random generator."""

import random
from collections.abc import Sequence
from typing import Final

PAUSE_S: Final = 12.0
"""Mean time between a student's own messages."""

THINK_S: Final = (1.5, 6.0)
REPLIES_A_MESSAGE: Final = 0.4
"""Mean number of replies to a message; from 1 on a conversation would never end."""

_OPENINGS: Final = (
    "Alguém já começou o trabalho de {}?",
    "A aula de {} é amanhã às 9h ou às 11h?",
    "Onde estão os slides de {}?",
    "Alguém tem os apontamentos de {} da semana passada?",
    "A nota de {} já saiu 🎉",
    "Quem vai à biblioteca estudar {} hoje?",
    "Is the lab of {} in B203 this week?",
    "O enunciado de {} mudou outra vez...",
    "Falta uma pessoa no nosso grupo de {}, alguém?",
    "Dúvida: no exercício 3 de {} é para provar ou só calcular?",
    "O exame de {} é com consulta?",
    "Vou faltar a {} hoje, alguém me diz o que se passou?",
)
_TOPICS: Final = (
    "Sistemas Distribuídos", "Bases de Dados", "Álgebra", "Redes", "Algoritmos", "IA",
    "Engenharia de Software", "Matemática Discreta", "SO", "Programação",
)  # fmt: skip
_REPLIES: Final = (
    "Sim!", "Não faço ideia 😅", "Acho que é às 11h", "Eu também quero saber", "Obrigado!",
    "Está no Moodle", "Já te mando", "Vou perguntar ao professor", "👍", "Eu!", "+1",
    "Só na próxima semana, acho eu", "Ainda não, e tu?", "Boa sorte a todos", "Thanks!", "kkkk",
)  # fmt: skip


def pause_s(rng: random.Random) -> float:
    """Return the pause before a student's next own message."""
    return rng.expovariate(1 / PAUSE_S)


def opening(rng: random.Random, groups: Sequence[str]) -> tuple[str, str]:
    """Return one of the groups and a message."""
    return rng.choice(groups), rng.choice(_OPENINGS).format(rng.choice(_TOPICS))


def reply(rng: random.Random, readers: int) -> tuple[float, str] | None:
    """Return the delay and text of a reply by one of ``readers``; mostly None."""
    if rng.random() >= REPLIES_A_MESSAGE / max(1, readers):
        return None
    return rng.uniform(*THINK_S), rng.choice(_REPLIES)
