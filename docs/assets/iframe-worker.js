// Search in pages that are opened from a file, where browsers allow no worker: the script of the
// worker runs in a hidden frame instead. Over a network nothing is changed.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.answer = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      this.ready = new Promise((done) => this.frame.addEventListener("load", done));
      this.frame.srcdoc =
        "<script>window.postMessage = (data) => frameElement.answer(data);<\/script>" +
        `<script src="${url}"><\/script>`;
      document.body.appendChild(this.frame);
    }

    postMessage(data) {
      this.ready.then(() =>
        this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })),
      );
    }

    terminate() {
      this.frame.remove();
    }
  };
}
