// The picture stays in this page: it is sent with each question as text, and no file is made of it anywhere.
const find = (selector) => element.querySelector(selector);
const [preview, video, fault] = [find("img"), find("video"), find(".camera-fault")];
let camera = null;

function show(address) {
  fault.textContent = "";
  preview.src = address;
  preview.hidden = false;
  find(".hint").hidden = true;
  props.value = address;
  trigger("change");
}

function read(file) {
  if (!file) return;
  const reader = new FileReader();
  reader.onload = () => show(reader.result);
  reader.readAsDataURL(file);
}

function stop() {
  if (camera) camera.getTracks().forEach((track) => track.stop());
  camera = null;
  video.srcObject = null;
  video.hidden = find(".take").hidden = true;
  find(".camera").hidden = false;
}

async function start() {
  fault.textContent = "";
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: true });
  } catch (error) {
    fault.textContent = navigator.mediaDevices
      ? "The camera cannot be used: " + error.message
      : "Browsers give the camera only to pages of this machine (127.0.0.1) or over HTTPS.";
    return;
  }
  video.srcObject = camera;
  await video.play();
  preview.hidden = find(".hint").hidden = find(".camera").hidden = true;
  video.hidden = find(".take").hidden = false;
}

function take() {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  canvas.getContext("2d").drawImage(video, 0, 0);
  stop();
  show(canvas.toDataURL("image/png"));
}

find(".picture-file").addEventListener("change", (event) => {
  stop();
  read(event.target.files[0]);
  event.target.value = "";
});
find(".camera").addEventListener("click", start);
find(".take").addEventListener("click", take);
element.addEventListener("dragover", (event) => event.preventDefault());
element.addEventListener("drop", (event) => {
  event.preventDefault();
  read(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => read(event.clipboardData.files[0]));
