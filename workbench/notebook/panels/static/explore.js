// What `run.explore()` shows.
export default {
  render({ model, el }) {
    el.classList.add("workbench-panel");
    const view = resultsView({ ask: resultsAsker(model) });
    el.append(view.node);
    function draw() {
      view.update(model.get("results") || {});
    }
    model.on("change:results", draw);
    draw();
    return () => model.off("change:results", draw);
  },
};
