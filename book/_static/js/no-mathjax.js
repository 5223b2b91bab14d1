/* Loaded in place of MathJax where it was not available at build time: formulas stay TeX. */
document.documentElement.classList.add("no-mathjax");
