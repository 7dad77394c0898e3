// Draws every [data-chart] by the option in the JSON of that id. A text "--name" in it is a colour of the style sheet,
// read again when the reader turns to dark; so the same option serves both.
(() => {
  const coloured = (value, style) => {
    if (typeof value === "string") return value.startsWith("--") ? style.getPropertyValue(value).trim() : value;
    if (Array.isArray(value)) return value.map((item) => coloured(item, style));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, style)]));
  };

  const draw = (box) => {
    const option = JSON.parse(document.getElementById(box.dataset.chart).textContent);
    const style = getComputedStyle(document.documentElement);
    const locale = document.documentElement.lang.startsWith("zh") ? "ZH" : "EN";
    echarts.getInstanceByDom(box)?.dispose();
    const chart = echarts.init(box, null, { renderer: "svg", locale });
    chart.setOption({ ...coloured(option, style), textStyle: { fontFamily: getComputedStyle(document.body).fontFamily } });
    box.dataset.ready = "true";
  };

  const boxes = (root) => root.querySelectorAll("[data-chart]");
  const drawAll = () => boxes(document).forEach(draw);

  document.addEventListener("DOMContentLoaded", drawAll);
  document.addEventListener("htmx:after:swap", () => boxes(document).forEach((box) => box.dataset.ready || draw(box)));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("resize", () => boxes(document).forEach((box) => echarts.getInstanceByDom(box)?.resize()));
})();
