// The commands, and where they are found: palette, launcher, cell toolbar, shortcut.

import { JupyterFrontEnd } from '@jupyterlab/application';
import { ICommandPalette, InputDialog } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { TranslationBundle } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';
import { Menu } from '@lumino/widgets';

import { insertCell, runWith, taskCell, taskOf, Task, TASKS } from './cells';
import { Watches } from './status';

const icon = new LabIcon({
  name: 'llm_magics:icon',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16"><path class="jp-icon3" fill="#616161"
    d="M4 4h16v11H9l-5 5zm3 3v2h10V7zm0 3.500v2h7v-2z"/></svg>`
});

export const ids = {
  insert: (task: Task) => `llm_magics:insert-${task}`,
  form: (task: Task) => `llm_magics:form-${task}`,
  load: 'llm_magics:load-model',
  panel: 'llm_magics:open-panel',
  menu: 'llm_magics:run-with',
  with: 'llm_magics:run-with-options',
  ask: 'llm_magics:run-with-asked-options',
  other: 'llm_magics:run-with-model',
  here: 'llm_magics:open-in-form',
  stop: 'llm_magics:stop'
};

export interface Parts {
  app: JupyterFrontEnd;
  tracker: INotebookTracker;
  trans: TranslationBundle;
  watches: Watches;
}

/** The name of a task where a person reads it. */
function title(task: Task, trans: TranslationBundle): string {
  return {
    answer: trans.__('Answer'),
    translate: trans.__('Translate'),
    reformulate: trans.__('Reformulate'),
    summarize: trans.__('Summarize'),
    describe: trans.__('Describe'),
    classify: trans.__('Classify'),
    extract: trans.__('Extract')
  }[task];
}

/** The notebook that is looked at; from the launcher a new one, which takes the launcher's place. */
async function notebook({ app, tracker }: Parts, cwd: unknown): Promise<NotebookPanel | null> {
  if (typeof cwd !== 'string') return tracker.currentWidget;
  await app.serviceManager.kernelspecs.ready;
  const kernelName = app.serviceManager.kernelspecs.specs?.default;
  const panel = (await app.commands.execute('notebook:create-new', { cwd, kernelName })) as NotebookPanel | undefined;
  if (!panel) return null;
  await panel.revealed;
  await panel.sessionContext.ready;
  return panel;
}

function addInserting(parts: Parts): string[] {
  const { app, tracker, trans } = parts;
  const added: string[] = [];
  const add = (id: string, label: string, caption: string, source: () => Promise<string | null>, run: boolean) => {
    added.push(id);
    app.commands.addCommand(id, {
      label,
      caption,
      icon,
      isEnabled: args => typeof args.cwd === 'string' || tracker.currentWidget !== null,
      execute: async args => {
        const text = await source();
        const panel = text === null ? null : await notebook(parts, args.cwd);
        if (panel && text !== null) await insertCell(panel, text, run);
      }
    });
  };
  for (const task of TASKS) {
    const shown = title(task, trans);
    add(ids.insert(task), shown, trans.__('Insert a %%llm_%1 cell', task), async () => taskCell(task), false);
    add(ids.form(task), trans.__('%1 in a form', shown), trans.__('Insert and run %llm_form %1', task), async () => `%llm_form ${task}`, true);
  }
  add(ids.load, trans.__('Load a model…'), trans.__('Insert and run %llm_load'), () => askModel(trans), true);
  add(ids.panel, trans.__('Engine panel'), trans.__('Insert and run %llm_panel'), async () => '%llm_panel', true);
  return added;
}

/** The line that loads the model that the user names, or null. */
async function askModel(trans: TranslationBundle): Promise<string | null> {
  const answer = await InputDialog.getText({
    title: trans.__('Load a model'),
    label: trans.__('“demo”, a folder, or an id on the hub; options such as --quantization int4 may follow'),
    text: 'demo',
    okLabel: trans.__('Load')
  });
  const words = answer.button.accept ? (answer.value ?? '').replace(/\s+/g, ' ').trim() : '';
  return words ? `%llm_load ${words}` : null;
}

/** The task in the active cell; null where it is no cell of ours. */
function activeTask(tracker: INotebookTracker): Task | null {
  return taskOf(tracker.activeCell?.model.sharedModel.getSource() ?? '');
}

function addRunning({ app, tracker, trans, watches }: Parts): void {
  const { commands } = app;
  const isEnabled = () => activeTask(tracker) !== null;
  const panelOf = () => tracker.currentWidget!;
  commands.addCommand(ids.with, {
    label: args => String(args.label ?? trans.__('Run with %1', String(args.options ?? ''))),
    isEnabled,
    execute: args => runWith(panelOf(), String(args.options ?? ''))
  });
  commands.addCommand(ids.ask, {
    label: trans.__('Other options…'),
    isEnabled,
    execute: async () => {
      const panel = panelOf();
      const answer = await InputDialog.getText({
        title: trans.__('Run with options'),
        label: trans.__('Added to the first line of the cell'),
        placeholder: '--top-p 0.9 --seed 1',
        okLabel: trans.__('Run')
      });
      if (answer.button.accept && answer.value?.trim()) await runWith(panel, answer.value.replace(/\s+/g, ' '));
    }
  });
  commands.addCommand(ids.other, {
    label: trans.__('Another model…'),
    isEnabled,
    execute: async () => {
      const panel = panelOf();
      const source = panel.content.activeCell?.model.sharedModel.getSource() ?? '';
      const load = await askModel(trans);
      if (load === null) return;
      // Below, and not above: the cell that was run keeps its answer, to be compared with the new one.
      void insertCell(panel, load, true);
      await insertCell(panel, source, true);
    }
  });
  commands.addCommand(ids.here, {
    label: trans.__('A form for this task'),
    isEnabled,
    execute: () => insertCell(panelOf(), `%llm_form ${activeTask(tracker) ?? ''}`.trim(), true)
  });
  commands.addCommand(ids.stop, {
    label: trans.__('Stop the answer'),
    caption: trans.__('End the run under way; what has come of the answer is kept'),
    isEnabled: () => tracker.currentWidget !== null,
    execute: async () => {
      const kernel = tracker.currentWidget?.sessionContext.session?.kernel;
      if (!watches.stop() && kernel?.status === 'busy') await kernel.interrupt();
    }
  });
}

/** "Run with…": a menu below the button in the cell's toolbar, or at the cell where it was asked for in another way. */
function addMenu({ app, tracker, trans }: Parts): void {
  const menu = new Menu({ commands: app.commands });
  menu.title.label = trans.__('Run with');
  for (const options of ['--temperature 0.7', '--temperature 0', '--lang en', '--lang fr', '--lang es', '--lang de', '--no-stream', '--prompt']) {
    menu.addItem({ command: ids.with, args: { options, label: options } });
  }
  menu.addItem({ command: ids.ask });
  menu.addItem({ type: 'separator' });
  menu.addItem({ command: ids.other });
  menu.addItem({ command: ids.here });
  app.commands.addCommand(ids.menu, {
    label: trans.__('Run with…'),
    caption: trans.__('Run this cell with other options, another model, or in a form'),
    icon,
    // The toolbar's button shows on our cells only.
    isVisible: () => activeTask(tracker) !== null,
    isEnabled: () => activeTask(tracker) !== null,
    execute: () => {
      const cell = tracker.activeCell?.node;
      const button = cell?.querySelector(`[data-command="${ids.menu}"]`) ?? cell;
      const place = button?.getBoundingClientRect() ?? new DOMRect();
      menu.open(place.left, button === cell ? place.top : place.bottom);
      menu.activeIndex = 0; // the arrow keys begin here
    }
  });
  const changed = () => app.commands.notifyCommandChanged(ids.menu);
  tracker.activeCellChanged.connect((_, cell) => {
    changed();
    // The button comes and goes as the first line is written. A cell that is disposed of takes its signal with it.
    cell?.model.contentChanged.disconnect(changed);
    cell?.model.contentChanged.connect(changed);
  });
}

export function addCommands(parts: Parts, palette: ICommandPalette | null, launcher: ILauncher | null): void {
  const { trans } = parts;
  const inserting = addInserting(parts);
  addRunning(parts);
  addMenu(parts);
  const category = trans.__('LLM magics');
  for (const command of [...inserting, ids.menu, ids.stop]) palette?.addItem({ command, category });
  const cards = [...TASKS.map(ids.insert), ids.form('extract'), ids.form('answer'), ids.load, ids.panel];
  cards.forEach((command, rank) => launcher?.add({ command, category, rank }));
}
