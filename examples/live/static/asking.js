// Returns the answer to a question about a channel, asked again until there is one. Returns null when the
// subscription has ended, because all is asked anew when it begins again.
export async function answerTo(subscription, ask) {
  while (subscription.state === "subscribed") {
    try {
      return await ask();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
  return null;
}
