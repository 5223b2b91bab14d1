// A deck: formulas are set, everything is made to fit its slide, then reveal.js begins.
Object.assign(MathJax.options ??= {}, { enableMenu: false });
MathJax.chtml = { matchFontHeight: false };

const all = selector => [...document.querySelectorAll(selector)];

// Smaller by steps until nothing is higher or wider than the slide.
function fit(body) {
  const over = () => body.scrollHeight > body.clientHeight || body.scrollWidth > body.clientWidth;
  for (let scale = 1; over() && scale > 0.4; scale -= 0.02) body.style.setProperty("--scale", scale);
}

// No line breaks between a formula and the signs that touch it.
function hold(math) {
  const held = Object.assign(document.createElement("span"), { className: "held" });
  const { previousSibling: before, nextSibling: after } = math;
  math.replaceWith(held);
  held.append(take(before, /\S+$/), math, take(after, /^\S+/));
}
function take(node, pattern) {
  const found = node?.nodeType === Node.TEXT_NODE ? node.data.match(pattern)?.[0] ?? "" : "";
  if (found) node.data = node.data.replace(pattern, "");
  return found;
}

addEventListener("load", async () => {
  await MathJax.startup.promise;
  all(".body span.math").forEach(hold);
  await document.fonts.ready;
  for (const figure of all(".explorable")) figure.wake?.();
  await Promise.all(all(".slides img").map(image => image.decode()));
  all(".body").forEach(fit);
  // MathML: the speaker's window does not have MathJax's style sheet.
  for (const tex of all(".notes .tex")) {
    const source = tex.textContent.trim();
    tex.innerHTML = await MathJax.tex2mmlPromise(source.slice(2, -2), { display: source.startsWith("\\[") });
  }
  document.querySelector(".reveal").classList.remove("unmeasured");
  await Reveal.initialize({
    width: 1280, height: 720, margin: 0.02, center: false, hash: true, slideNumber: "c/t",
    transition: "none", pdfSeparateFragments: false, scrollActivationWidth: null, plugins: [RevealNotes],
  });
});

// Whoever has moved a figure goes on with the next key: the pointer leaves no control in focus,
// and Escape leaves it too.
const leave = () => document.activeElement.closest(".explorable") && document.activeElement.blur();
addEventListener("pointerup", () => setTimeout(leave));
addEventListener("keydown", event => {
  if (event.key === "Escape" && document.activeElement.closest(".explorable")) {
    leave();
    event.stopPropagation();
  }
}, true);
