// Returns the texts of a page whose contrast with the background is below 4.5 (WCAG 2.2, 1.4.3), with the contrast.

const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

function rgba(color) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
}

function over([r, g, b, a], ground) {
  return [r, g, b].map((value, index) => (value * a + ground[index] * (255 - a)) / 255);
}

function groundOf(element) {
  const layers = [];
  for (let one = element; one; one = one.parentElement) layers.unshift(rgba(getComputedStyle(one).backgroundColor));
  return layers.reduce((ground, layer) => over(layer, ground), [255, 255, 255]);
}

function luminance(color) {
  const [r, g, b] = color.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(color, ground) {
  const [darker, lighter] = [luminance(over(rgba(color), ground)), luminance(ground)].sort((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

const faint = [];
for (const element of document.querySelectorAll("body *")) {
  if (!element.checkVisibility()) continue;
  const own = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data.trim()).join("");
  const text = own || element.placeholder;
  if (!text) continue;
  const style = getComputedStyle(element, own ? null : "::placeholder");
  const ratio = contrast(style.color, groundOf(element));
  if (ratio < 4.5) faint.push(`${text}: ${ratio.toFixed(2)}`);
}
return faint;
