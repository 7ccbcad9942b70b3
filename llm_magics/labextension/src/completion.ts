// What the kernel does not complete: jinja2 filters after `|`, in `{{ }}` and in --format.
// Options, their values, variables and attributes come from the kernel (llm_magics/completion.py and IPython's own).

import { CompletionHandler, ICompletionContext, ICompletionProvider } from '@jupyterlab/completer';

import { isOurs } from './language';

// tests/test_labextension.py holds them against those that the kernel's jinja2 knows.
const FILTERS = `abs attr batch capitalize center default dictsort escape first float format groupby indent int items join json last length
list lower map max min pprint reject rejectattr replace reverse round select selectattr slice sort string striptags sum title tojson trim
truncate unique upper urlencode wordcount wordwrap`.split(/\s+/);

/** The beginning of a filter's name that ends at `offset`, or null where none can stand. */
export function filterPrefix(text: string, offset: number): string | null {
  const before = text.slice(0, offset);
  const opened = Math.max(before.lastIndexOf('{{'), before.lastIndexOf('{%'));
  if (opened < 0 || /[%}]\}/.test(before.slice(opened))) return null;
  return /\|\s*(\w*)$/.exec(before.slice(opened))?.[1] ?? null;
}

export class FilterProvider implements ICompletionProvider {
  readonly identifier = 'llm_magics:filters';
  readonly rank = 600; // above the kernel's 550
  readonly renderer = null;

  async isApplicable({ editor }: ICompletionContext): Promise<boolean> {
    return !!editor && isOurs(editor.model.sharedModel.getSource());
  }

  async fetch(request: CompletionHandler.IRequest): Promise<CompletionHandler.ICompletionItemsReply> {
    const prefix = filterPrefix(request.text, request.offset);
    const names = prefix === null ? [] : FILTERS.filter(word => word.startsWith(prefix));
    return {
      start: request.offset - (prefix ?? '').length,
      end: request.offset,
      items: names.map(label => ({ label, type: 'function' }))
    };
  }
}
