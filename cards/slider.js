(() => {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const tenth = (share) => `${(share / 10).toFixed(1)} %`;
  for (const root of document.querySelectorAll("figure.symdata-slider:not([data-ready])")) {
    root.dataset.ready = "";
    const data = JSON.parse(root.dataset.slider), [width, height] = data.size, count = data.views.length;
    const find = (selector) => root.querySelector(selector);
    const range = find("input"), play = find("button"), picture = find(".picture"), now = find("output");
    const rows = [...root.querySelectorAll(".models li")], strip = find("details");
    let timer = 0;
    const show = (k) => {
      const spoken = rows.map((row, m) => {
        const [label, share] = data.said[m][k], said = row.querySelector(".said");
        said.textContent = `${data.labels[label]} ${tenth(share)}`;
        said.className = "said" + (data.truth < 0 ? "" : label === data.truth ? " right" : " wrong");
        row.querySelector("rect").setAttribute("width", share);
        return `${row.querySelector(".name").textContent} says ${data.labels[label]}, ${tenth(share)}`;
      });
      const text = `${data.views[k]}: ${spoken.join("; ")}`;
      picture.setAttribute("viewBox", `${k % data.columns * width} ${Math.floor(k / data.columns) * height} ${width} ${height}`);
      picture.setAttribute("aria-label", `${data.what}, ${text}`);
      range.setAttribute("aria-valuetext", text);
      now.textContent = data.views[k];
    };
    const stop = () => { clearInterval(timer); timer = 0; play.textContent = "Play"; };
    const next = (step) => { range.value = (+range.value + step) % count; show(+range.value); };
    play.addEventListener("click", () => {
      if (timer) return stop();
      play.textContent = "Pause";
      timer = calm.matches ? setInterval(next, 1500, Math.ceil(count / 12)) : setInterval(next, Math.max(100, 3600 / count), 1);
    });
    range.addEventListener("input", () => { stop(); show(+range.value); });
    document.addEventListener("visibilitychange", () => document.hidden && stop());
    addEventListener("beforeprint", () => { strip.open = true; });
    strip.open = false;
    show(0);
  }
})();
