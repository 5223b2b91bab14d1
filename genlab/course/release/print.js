/* The printed edition: sets its formulas, and does what CSS cannot measure. */
MathJax.options = {enableMenu: false, enableAssistiveMml: false, processHtmlClass: "math"};
// To the height of the text's letters; measured, it would be rounded to whole pixels.
MathJax.chtml = {matchFontHeight: false, scale: 1.08};
MathJax.startup = {pageReady: async () => {
  await MathJax.startup.defaultPageReady();
  void document.body.offsetHeight;  // a layout asks for the fonts; they are measured below
  await document.fonts.ready;
  for (const formula of document.querySelectorAll("mjx-container[display=true]")) {
    const fits = formula.clientWidth / formula.scrollWidth;
    const size = parseFloat(formula.style.fontSize || "100");
    if (fits < 1) formula.style.fontSize = `${size * fits}%`;
  }
  for (const table of document.querySelectorAll("table")) {
    table.classList.toggle("wide", table.clientWidth > table.parentElement.clientWidth);
  }
  // Where Chromium cannot keep both orphans and widows, it keeps the orphans only.
  for (const block of document.querySelectorAll("p, pre")) {
    const {lineHeight, orphans, widows} = getComputedStyle(block);
    const least = (Number(orphans) + Number(widows)) * parseFloat(lineHeight);
    if (block.clientHeight < least) block.style.breakInside = "avoid";
  }
  // Says that all is set; long, so that what replaces it in the PDF fits into its place.
  document.title = "ready".padEnd(4000, ".");
}};
