// The door that JupyterLab looks for: what a bundler would write, by hand, so that nothing has to be built.
(() => {
  const here = document.currentScript.src;
  let shared = {};

  // A module that JupyterLab shares; it has one version of each that is a singleton.
  async function taken(name) {
    const versions = Object.values(shared[name] || {});
    return (await (versions.find((one) => one.loaded) || versions[0]).get())();
  }

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["agent-workbench"] = {
    init(scope) {
      shared = scope;
    },
    async get() {
      const [{ plugin }, notebook] = await Promise.all([import(new URL("outputs.js", here)), taken("@jupyterlab/notebook")]);
      return () => ({ __esModule: true, default: plugin(notebook) });
    },
  };
})();
