// What JupyterLab loads: one plugin for the language of the cells, which needs only editors, and one for all that needs notebooks.

import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IEditorExtensionRegistry } from '@jupyterlab/codemirror';
import { ICompletionProviderManager } from '@jupyterlab/completer';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { addCommands, ids } from './commands';
import { FilterProvider } from './completion';
import { addLanguage } from './language';
import { StatusItem, Watches } from './status';

const language: JupyterFrontEndPlugin<void> = {
  id: 'llm_magics:language',
  description: 'Cells that begin with %%llm_ are coloured as text with {{ names }}.',
  autoStart: true,
  requires: [IEditorExtensionRegistry],
  optional: [ITranslator],
  activate: (_: JupyterFrontEnd, registry: IEditorExtensionRegistry, translator: ITranslator | null) =>
    addLanguage(registry, (translator ?? nullTranslator).load('llm_magics'))
};

const completion: JupyterFrontEndPlugin<void> = {
  id: 'llm_magics:completion',
  description: 'jinja2 filters in the completer.',
  autoStart: true,
  requires: [ICompletionProviderManager],
  activate: (_: JupyterFrontEnd, manager: ICompletionProviderManager) => manager.registerProvider(new FilterProvider())
};

const commands: JupyterFrontEndPlugin<void> = {
  // The settings of a plugin, its shortcuts and toolbar buttons stand in schema/commands.json.
  id: 'llm_magics:commands',
  description: 'Commands, launcher cards, a button on cells, a status item.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator, ICommandPalette, ILauncher, IStatusBar],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    statusBar: IStatusBar | null
  ) => {
    const trans = (translator ?? nullTranslator).load('llm_magics');
    const watches = new Watches(tracker);
    addCommands({ app, tracker, trans, watches }, palette, launcher);
    const item = new StatusItem(watches, trans, () => void app.commands.execute(ids.panel));
    statusBar?.registerStatusItem('llm_magics:status', { item, align: 'left', rank: 90 });
  }
};

export default [language, completion, commands];
