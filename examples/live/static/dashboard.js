// The figures: the latest reading, how it has come about, and a table of all.

import { draw } from "./chart.js";
import { place, timeOf } from "./ordered.js";

const FIGURES = ["temperature", "wind", "humidity"];

const caughtUp = document.getElementById("caught-up");
const empty = document.getElementById("no-readings");
const table = document.getElementById("readings");

export class Dashboard {
  #readings = new Map(); // by offset
  #kept;
  #drawing = false;

  constructor(kept) {
    this.#kept = kept;
  }

  clear() {
    this.#readings.clear();
    table.replaceChildren();
    this.#draw();
  }

  add(offset, reading) {
    if (!place(table, offset, () => row(offset, reading))) return;
    this.#readings.set(offset, reading);
    while (table.childElementCount > this.#kept) {
      this.#readings.delete(Number(table.firstElementChild.dataset.offset));
      table.firstElementChild.remove();
    }
    // A history comes as hundreds of readings at once, and is drawn once.
    if (!this.#drawing) requestAnimationFrame(() => this.#draw());
    this.#drawing = true;
  }

  // Called before what was missed is added: `offset` is that of the last reading, null if some are lost.
  tellWhatCameBack(offset) {
    if (offset !== null && !this.#readings.size) return;
    const time = timeOf(Date.now() / 1000, "short");
    const count = offset - Math.max(...this.#readings.keys());
    const readings = count === 1 ? "1 missed reading has" : `${count} missed readings have`;
    if (offset === null) caughtUp.textContent = `Away for too long: only the latest readings are here (${time})`;
    else caughtUp.textContent = count ? `${readings} come back (${time})` : `Nothing was missed (${time})`;
  }

  #draw() {
    this.#drawing = false;
    const readings = [...table.children].map(({ dataset }) => this.#readings.get(Number(dataset.offset)));
    empty.hidden = readings.length > 0;
    for (const name of FIGURES) {
      const points = readings.map((reading) => [reading.time, reading[name]]);
      draw(document.querySelector(`[data-figure="${name}"]`), points);
    }
  }
}

function row(offset, reading) {
  const element = document.createElement("tr");
  const texts = [offset, timeOf(reading.time), ...FIGURES.map((name) => reading[name].toFixed(1))];
  for (const text of texts) element.insertCell().textContent = text;
  return element;
}
