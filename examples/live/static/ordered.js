// Puts an element behind those with smaller offsets, unless there is one with the same: the history and what is
// published meanwhile overlap, and may come in either order.
export function place(parent, offset, make) {
  let next = null;
  let last = parent.lastElementChild;
  while (last && Number(last.dataset.offset) > offset) {
    next = last;
    last = last.previousElementSibling;
  }
  if (last && Number(last.dataset.offset) === offset) return null;
  const element = make();
  element.dataset.offset = offset;
  parent.insertBefore(element, next);
  return element;
}

export function timeOf(seconds, style = "medium") {
  return new Date(seconds * 1000).toLocaleTimeString([], { timeStyle: style });
}
