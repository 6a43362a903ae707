// The line under a brain: SIMULATED at the left, whose response it is at the right.

const FOOT_MARK_PX = 104; // SIMULATED, and the margins

/** "whose · what · own scale" as far as it fits into `room` pixels, whole parts only; the colour bar says the rest. */
function footText(context, who, room) {
  const parts = who.split(" · ");
  while (parts.length > 1 && context.measureText(parts.join(" · ")).width > room) parts.pop();
  return parts.join(" · ");
}

/** Draw the line at the lower edge of a pane of this size. */
function drawFoot(context, { width, height, theme }, { simulated, who }) {
  context.textBaseline = "alphabetic";
  if (simulated) {
    context.font = `600 11px ${theme.font}`;
    context.textAlign = "left";
    context.fillStyle = theme.warn;
    context.letterSpacing = "1.5px";
    context.fillText("SIMULATED", 6, height - 6);
    context.letterSpacing = "0px";
  }
  context.textAlign = "right";
  context.fillStyle = theme.muted;
  context.font = `11px ${theme.font}`;
  context.fillText(footText(context, who, width - FOOT_MARK_PX), width - 6, height - 6);
}
