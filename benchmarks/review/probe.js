// Takes the time in the page. Installed before the scripts of the page, and through the debugger, so that the policy of the page
// (no eval, no inline script) does not matter. All times are of performance.now(), in milliseconds:
//
//   key      when the browser made the event
//   begun    when the page heard of it
//   changed  when what was waited for became true: looked at after each change of the DOM, picture loaded, bitmap drawn, callback of a frame
//   painted  the beginning of the frame after the one that shows it, which waits until that one is done
//
// Marks at `begun` and `painted` tell the same to a trace of the browser.
(() => {
  const bench = (window.__bench = { resources: [], tasks: [], bitmap: null });
  const now = () => performance.now();
  const frame = requestAnimationFrame.bind(window);
  let runs = [];
  let inFrame = false;

  const watch = (type, each) =>
    new PerformanceObserver((list) => list.getEntries().forEach(each)).observe({ type, buffered: true });
  watch("resource", ({ name, startTime, duration, responseEnd }) =>
    bench.resources.push({ name, start: startTime, ms: duration, end: responseEnd }),
  );
  watch("longtask", ({ startTime, duration }) => bench.tasks.push({ start: startTime, ms: duration }));

  window.requestAnimationFrame = (callback) =>
    frame((time) => {
      inFrame = true;
      try {
        callback(time);
        check();
      } finally {
        inFrame = false;
      }
    });

  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (image, ...rest) {
    draw.call(this, image, ...rest);
    if (!(image instanceof ImageBitmap)) return;
    bench.bitmap = image;
    check();
  };

  new MutationObserver(check).observe(document, {
    subtree: true,
    childList: true,
    attributes: true,
    characterData: true,
  });
  addEventListener("load", check, true); // of any picture

  function check() {
    for (const run of runs) {
      if (run.changed !== null || !run.done()) continue;
      run.changed = now();
      const end = () => {
        performance.mark("bench-painted");
        runs = runs.filter((other) => other !== run);
        run.resolve({ key: run.key, begun: run.begun, changed: run.changed, painted: now() });
      };
      if (inFrame) frame(end);
      else frame(() => frame(end));
    }
  }

  function begin(key, done) {
    performance.mark("bench-begun");
    const run = { key, begun: now(), changed: null, done };
    runs.push(run);
    return new Promise((resolve) => (run.resolve = resolve));
  }

  /** Take the time from the next event of a type until `done()` holds; `bench.result` tells it. */
  bench.arm = (type, done) => {
    runs = [];
    bench.result = new Promise((resolve) => {
      addEventListener(type, (event) => begin(event.timeStamp, done).then(resolve), { capture: true, once: true });
    });
  };

  /** Take the time of the events of a type, one after the other, each until what `make()` gives holds; `bench.stop()` tells them. */
  bench.follow = (type, make) => {
    const found = [];
    let busy = false;
    const hear = (event) => {
      if (busy) return;
      busy = true;
      void begin(event.timeStamp, make()).then((one) => ((busy = false), found.push(one)));
    };
    addEventListener(type, hear, true);
    bench.stop = () => (removeEventListener(type, hear, true), found);
  };

  /** Take the time since the navigation began. */
  bench.opening = (done) => (bench.result = begin(0, done));

  /** Note when each frame begins; `bench.stop()` tells it. */
  bench.count = () => {
    const times = [];
    let on = true;
    const tick = () => {
      times.push(now());
      if (on) frame(tick);
    };
    frame(tick);
    bench.stop = () => ((on = false), times);
  };
})();
