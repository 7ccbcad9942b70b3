// The status bar's item: what the comm `llm_magics.status` of the current notebook's kernel says (llm_magics/status.py).

import { NotebookActions, INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { Kernel } from '@jupyterlab/services';
import { TranslationBundle } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';

import { insertBeside, usesMagics } from './cells';

const TARGET = 'llm_magics.status';

interface State {
  model: string | null;
  backend: string | null;
  quantization: string | null;
  memory_mb: number | null;
  tokens_per_s: number | null;
  busy: boolean;
  waiting: number;
  stage: string;
}

interface Insertion {
  number: number;
  source: string;
  beside: string;
}

interface Watch {
  kernel: Kernel.IKernelConnection;
  comm: Kernel.IComm;
  state: State | null;
}

/** A comm for each kernel that has our extension loaded. */
export class Watches {
  readonly changed = new Signal<this, void>(this);
  private readonly byKernel = new Map<string, Watch>();

  constructor(private readonly tracker: INotebookTracker) {
    // A kernel without the extension answers by closing the comm, with a line in its log: so it is asked only where there is reason to
    // think that it has it, when a notebook with our magics is opened and after each run of a cell while there is no comm.
    NotebookActions.executed.connect((_, { notebook }) => {
      const panel = tracker.find(candidate => candidate.content === notebook);
      if (panel) this.watch(panel);
    });
    tracker.widgetAdded.connect((_, panel) => {
      void panel.sessionContext.ready.then(() => this.watch(panel));
      panel.sessionContext.statusChanged.connect((_, status) => {
        const kernel = panel.sessionContext.session?.kernel;
        // A restart ends the comm without a word from the kernel.
        if (kernel && ['restarting', 'autorestarting', 'dead', 'terminating'].includes(status)) this.forget(kernel.id);
      });
    });
    tracker.currentChanged.connect(() => this.changed.emit());
  }

  private watch(panel: NotebookPanel): void {
    const kernel = panel.sessionContext.session?.kernel;
    if (!kernel || !kernel.handleComms || this.byKernel.has(kernel.id) || !usesMagics(panel)) return;
    const watch: Watch = { kernel, comm: kernel.createComm(TARGET), state: null };
    this.byKernel.set(kernel.id, watch);
    watch.comm.onMsg = message => {
      const { insert, ...state } = message.content.data as unknown as State & { insert?: Insertion };
      if (insert) {
        void this.insert(watch, insert);
        return;
      }
      watch.state = state;
      this.changed.emit();
    };
    watch.comm.onClose = () => this.forget(kernel.id, watch);
    watch.comm.open();
  }

  private async insert({ kernel, comm }: Watch, { number, source, beside }: Insertion): Promise<void> {
    for (const panel of this.tracker.filter(each => each.sessionContext.session?.kernel?.id === kernel.id)) {
      if (await insertBeside(panel, beside, source)) {
        comm.send({ inserted: number });
        return;
      }
    }
  }

  private forget(id: string, only?: Watch): void {
    if (only && this.byKernel.get(id) !== only) return;
    this.byKernel.delete(id);
    this.changed.emit();
  }

  private get current(): Watch | undefined {
    return this.byKernel.get(this.tracker.currentWidget?.sessionContext.session?.kernel?.id ?? '');
  }

  get state(): State | null {
    return this.current?.state ?? null;
  }

  /** Ask the kernel to end the run under way; false where it would not hear: then there is its interrupt. */
  stop(): boolean {
    const watch = this.current;
    if (!watch?.state?.busy) return false;
    // JupyterLab sends comm messages over a subshell where the kernel has them, so they are heard while a cell runs.
    if (watch.kernel.status === 'busy' && !watch.kernel.supportsSubshells) return false;
    watch.comm.send({ do: 'stop' });
    return true;
  }
}

/** A button: model, memory, speed. It is hidden where no kernel tells. */
export class StatusItem extends Widget {
  private readonly button = document.createElement('button');

  constructor(
    private readonly watches: Watches,
    private readonly trans: TranslationBundle,
    openPanel: () => void
  ) {
    super();
    this.addClass('llm-status');
    this.button.className = 'jp-StatusBar-TextItem llm-status-button';
    this.button.type = 'button';
    this.button.addEventListener('click', openPanel);
    this.node.append(this.button);
    watches.changed.connect(this.refresh, this);
    this.refresh();
  }

  private refresh(): void {
    const { state, button, trans } = { state: this.watches.state, button: this.button, trans: this.trans };
    button.hidden = !state;
    if (!state) return;
    const parts = [state.stage || state.model || trans.__('no model')];
    if (state.memory_mb !== null) parts.push(trans.__('%1 MiB', Math.round(state.memory_mb).toLocaleString()));
    if (state.tokens_per_s !== null) parts.push(trans.__('%1 tokens/s', Math.round(state.tokens_per_s).toLocaleString()));
    if (state.busy) parts.push(state.waiting ? trans.__('running, %1 waiting', state.waiting) : trans.__('running'));
    const engine = [state.backend, state.quantization].filter(word => word && !['none', 'as found'].includes(word)).join(', ');
    button.textContent = parts.join(' · ');
    button.title = [trans.__('Open the panel of the engine'), engine].filter(Boolean).join(': ');
    button.setAttribute('aria-label', trans.__('Language model: %1. Open its panel.', parts.join(', ')));
  }
}
