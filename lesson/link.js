// A line above the notebook says how far Python is: each notebook starts its own, in some seconds.
(() => {
  const site = new URL(".", document.currentScript.src);
  // Browsers that share what they compiled have this done while JupyterLab loads.
  window.compiledPython = WebAssembly.compileStreaming?.(fetch(new URL("pyodide/pyodide.asm.wasm", site)));

  const line = document.createElement("div");
  line.id = "python-line";
  line.setAttribute("role", "status");
  line.style.cssText =
    "position: fixed; bottom: 36px; left: 50%; transform: translateX(-50%); z-index: 2000; " +
    "box-sizing: border-box; width: max-content; max-width: 94vw; padding: 8px 16px; " +
    "border-radius: 4px; color: white; background: #1a4a7a; " +
    "font: 15px/1.4 system-ui, sans-serif; pointer-events: none";
  const say = (text) => {
    line.hidden = !text;
    if (line.textContent !== text) line.textContent = text;
  };

  const begun = performance.now();
  const starts = new Map(); // of each notebook's Python: when it began, and when it was ready
  const remember = (seconds) => {
    try {
      if (seconds) localStorage.setItem("python-seconds", seconds);
      return localStorage.getItem("python-seconds");
    } catch {
      return null; // some browsers keep nothing
    }
  };
  const opened = new WeakMap(); // when the notebook that waits for a kernel was seen first
  const look = () => {
    const now = performance.now();
    const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
    if (!context) return say(window.jupyterapp ? "" : "JupyterLab is loading.");
    const kernel = context.session?.kernel;
    // The page's own loading counts for a notebook that opens with it.
    if (!opened.has(context)) opened.set(context, now - begun < 15000 ? begun : now);
    const start = starts.get(kernel?.id) ?? { began: starts.size ? now : opened.get(context) };
    // On a narrow screen, the list of files leaves no room for the notebook.
    if (kernel && !starts.size && innerWidth < 760) window.jupyterapp.shell.collapseLeft();
    if (kernel) starts.set(kernel.id, start);
    if (!start.ready && ["idle", "busy"].includes(kernel?.status)) {
      start.ready = now;
      remember(Math.ceil((now - start.began) / 1000));
    }
    const seconds = Math.floor((now - start.began) / 1000);
    const usual = remember();
    if (start.ready) return say(now - start.ready < 6000 ? "Python is ready." : "");
    if (seconds > 120) return say("Python still hasn't started. Ask your instructor for help.");
    const time = usual ? `It took ${usual} seconds last time` : "That takes about 10 seconds";
    say(`Python is starting in this page. ${time}, and ${seconds} have passed.`);
  };
  addEventListener("DOMContentLoaded", () => {
    document.body.append(line);
    setInterval(look, 250);
    look();
  });
})();
