"""The Centrifuge client protocol on channels: clients that reconnect, and get what they have missed."""
