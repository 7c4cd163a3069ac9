// What `run.explore()` shows.
export default {
  render({ model, el }) {
    el.classList.add("workbench-panel");
    const { ask, close } = asks(model);
    const view = resultsView({ ask: asksFor(ask) });
    el.append(view.node);
    const stop = living(model, el, "The run's .explore() in a cell shows a new one.");
    function draw() {
      view.update(model.get("view") || {});
    }
    model.on("change:view", draw);
    draw();
    return () => {
      model.off("change:view", draw);
      stop();
      close();
    };
  },
};
