"""What makes no sense is refused before anything is started."""

import pytest

from deploy.demo.__main__ import main


@pytest.mark.parametrize("speed", ["0", "-1", "nan"])
def test_a_speed_must_be_more_than_nothing(speed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--speed", speed])
    assert "--speed must be more than 0" in capsys.readouterr().err
