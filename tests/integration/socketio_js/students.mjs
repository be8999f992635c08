// Students of the official client, told by JSON lines on stdin what to do. One line of answer each:
// {"n": number of the order, "result": ...}. It decides nothing: the tests are in Python.

import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const ACK_TIMEOUT_MS = 30_000;
const students = new Map();

class Student {
  constructor({ url, auth, transports }) {
    this.messages = [];
    this.joined = [];
    this.refused = [];
    this.upgrades = [];
    this.openedBy = null;
    this.disconnects = [];
    this.socket = io(url, {
      auth,
      forceNew: true,
      reconnection: false,
      ...(transports ? { transports } : {}),
    });
    this.socket.io.on("open", () => this.opened());
    this.socket.on("chat message", (message) => this.messages.push(message));
    this.socket.on("joined", (told) => this.joined.push(told));
    this.socket.on("refused", (told) => this.refused.push(told));
    this.socket.on("disconnect", (reason) => this.disconnects.push(reason));
  }

  opened() {
    const engine = this.socket.io.engine;
    this.openedBy = engine.transport.name;
    engine.on("upgrade", (transport) => this.upgrades.push(transport.name));
  }

  connected() {
    return new Promise((resolve) => {
      this.socket.once("connect", () => resolve({ connected: true }));
      this.socket.once("connect_error", (error) =>
        resolve({ connected: false, message: error.message, data: error.data ?? null }),
      );
    });
  }

  state() {
    return {
      openedBy: this.openedBy,
      upgrades: this.upgrades,
      transport: this.socket.io.engine?.transport?.name ?? null,
      connected: this.socket.connected,
      messages: this.messages,
      joined: this.joined,
      refused: this.refused,
      disconnects: this.disconnects,
    };
  }
}

const orders = {
  connect({ name, ...how }) {
    const student = new Student(how);
    students.set(name, student);
    return student.connected();
  },
  state: ({ name }) => students.get(name).state(),
  emit: ({ name, event, payload }) =>
    students.get(name).socket.timeout(ACK_TIMEOUT_MS).emitWithAck(event, payload),
  raw({ name, text }) {
    students.get(name).socket.io.engine.transport.ws.send(text);
  },
  disconnect({ name }) {
    students.get(name).socket.disconnect();
  },
  lose({ name }) {
    students.get(name).socket.io.engine.transport.ws.terminate();
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { n, order, ...rest } = JSON.parse(line);
  Promise.resolve()
    .then(() => orders[order](rest))
    .then(
      (result) => console.log(JSON.stringify({ n, result: result ?? null })),
      (error) => console.log(JSON.stringify({ n, failed: String(error) })),
    );
}
process.exit(0);
