// Films from the visitor's camera. Text is set as text, never as markup.
(() => {
  "use strict";
  if (!window.CineglassPage || window.CineglassPage.camera) return;
  window.CineglassPage.camera = true;
  const { make, clock } = window.CineglassPage.tools;

  // films from the visitor's camera
  window.CineglassPage.add("recorder", (root, { trigger, upload, props }) => {
    root.classList.add("cp-recorder");
    if (!window.isSecureContext || !navigator.mediaDevices || !window.MediaRecorder) {
      root.append(make("p", "cp-note", "Webcam: browsers open a camera only on https or on this very computer (127.0.0.1), and this page is neither. Record a film elsewhere and upload it."));
      return () => {};
    }
    const start = make("button", "cp-button", "Record with the webcam");
    start.type = "button";
    const view = make("video", "cp-camera");
    view.muted = true;
    view.playsInline = true;
    view.hidden = true;
    view.setAttribute("aria-label", "Camera picture");
    const line = make("p", "cp-note");
    line.setAttribute("role", "status");
    root.append(start, view, line);
    let recording = null;

    const finish = async (stream, chunks, type) => {
      stream.getTracks().forEach((track) => track.stop());
      view.hidden = true;
      view.srcObject = null;
      start.textContent = "Record with the webcam";
      start.disabled = true;
      line.textContent = "Sending the recording …";
      try {
        const file = new File(chunks, type.includes("mp4") ? "webcam.mp4" : "webcam.webm", { type });
        const sent = await upload(file);
        line.textContent = "";
        trigger("recorded", { path: sent.path });
      } catch {
        line.textContent = "The recording could not be sent. Record a shorter one, or check the connection.";
      }
      start.disabled = false;
    };

    start.addEventListener("click", async () => {
      if (recording) {
        recording.stop();
        return;
      }
      let stream;
      try {
        stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 } }, audio: true });
      } catch (error) {
        line.textContent = error.name === "NotFoundError"
          ? "No camera with a microphone was found on this computer."
          : "The browser did not allow the camera. Allow it in the address bar, then try again.";
        return;
      }
      const kinds = ["video/mp4;codecs=avc1.42E01E,mp4a.40.2", "video/webm;codecs=vp8,opus", "video/webm"];
      const mimeType = kinds.find((kind) => MediaRecorder.isTypeSupported(kind)) || "";
      const chunks = [];
      recording = new MediaRecorder(stream, mimeType ? { mimeType } : {});
      recording.addEventListener("dataavailable", (event) => event.data.size && chunks.push(event.data));
      const type = recording.mimeType;
      const began = performance.now();
      const tick = setInterval(() => {
        const passed = (performance.now() - began) / 1000;
        const least = props.value.least;
        line.textContent = passed < least
          ? `Recording ${clock(passed)}. A run needs at least ${least.toFixed(0)} s.`
          : `Recording ${clock(passed)}. Long enough; up to ${clock(props.value.most)}.`;
        if (passed >= props.value.most && recording) recording.stop();
      }, 250);
      recording.addEventListener("stop", () => {
        clearInterval(tick);
        recording = null;
        finish(stream, chunks, type);
      });
      view.srcObject = stream;
      view.hidden = false;
      view.play().catch(() => {});
      start.textContent = "Stop recording";
      recording.start(1000);
    });
    return () => {};
  });
})();
