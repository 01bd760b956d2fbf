// Draws one figure: the latest value in large, and all of them as a line.

const WIDTH = 300;
const HEIGHT = 80;
const MARGIN = 4;
const LEAST_RANGE = 2; // so that a calm hour looks calm

export function draw(figure, points) {
  const latest = points.at(-1)?.[1];
  figure.querySelector("output").textContent = latest?.toFixed(1) ?? "–";
  const values = points.map(([, value]) => value);
  const [lowest, highest] = [Math.min(...values), Math.max(...values)];
  figure.querySelector(".range").textContent =
    points.length > 1 ? `${lowest.toFixed(1)} to ${highest.toFixed(1)} in ${duration(points)}` : "";
  const line = points.length > 1 ? lineThrough(points, lowest, highest) : "";
  figure.querySelector(".line").setAttribute("d", line);
  figure.querySelector(".area").setAttribute("d", line && `${line}V${HEIGHT}H0Z`);
}

function lineThrough(points, lowest, highest) {
  const [start, end] = [points[0][0], points.at(-1)[0]];
  const range = Math.max(highest - lowest, LEAST_RANGE);
  const bottom = (lowest + highest - range) / 2;
  const places = points.map(([time, value]) => {
    const x = ((time - start) / (end - start)) * WIDTH;
    const y = HEIGHT - MARGIN - ((value - bottom) / range) * (HEIGHT - 2 * MARGIN);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return `M${places.join("L")}`;
}

function duration(points) {
  const seconds = Math.round(points.at(-1)[0] - points[0][0]);
  return seconds < 100 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}
