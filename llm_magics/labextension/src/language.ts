// `%%llm_` cells as what they are: a line of options, then text for a model.
//
// - On the magic's line: options, quoted values, numbers; a `--schema` line with its types, or JSON; `--format` is full jinja2.
// - In the body only `{{ name }}` means something to the kernel (llm_magics/prompts.py), so only that is coloured: `{% %}` and `{# #}`
//   are sent as they stand. A body that is JSON is coloured as JSON.

import {
  HighlightStyle,
  Language,
  StreamLanguage,
  StreamParser,
  StringStream,
  syntaxHighlighting
} from '@codemirror/language';
import { Compartment, EditorState, Extension, Prec, Text } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import { Tag, tagHighlighter, tags } from '@lezer/highlight';
import { EditorExtensionRegistry, IEditorExtensionRegistry } from '@jupyterlab/codemirror';
import { TranslationBundle } from '@jupyterlab/translation';

/** A cell whose first line that holds anything is a cell magic of ours; IPython skips empty lines before it, too. */
export function isOurs(source: string): boolean {
  return /^\s*%%llm_[a-z]/.test(source);
}

// Tags of our own below the usual ones: themes colour them as their parents, and the classes below stay the same in every theme.
// Their names keep off those that StreamLanguage gives a meaning of its own, such as `type`, `tag` and `property`.
const magic = Tag.define(tags.keyword);
const option = Tag.define(tags.propertyName);
const brace = Tag.define(tags.operator);
const statement = Tag.define(tags.keyword);
const name = Tag.define(tags.variableName);
const note = Tag.define(tags.comment);
const key = Tag.define(tags.propertyName);
const kind = Tag.define(tags.typeName);
const prose = Tag.define(tags.content);
const constant = Tag.define(tags.atom);

const table: { [name: string]: Tag } = { magic, option, brace, statement, name, note, key, kind, prose, constant };
table.string = tags.string;
table.number = tags.number;
table.punctuation = tags.punctuation;

const classes = tagHighlighter(Object.entries(table).map(([word, tag]) => ({ tag, class: `llm-token-${word}` })));

/** What is being read. `within` is the jinja2 or JSON piece that the reader is in; it may go on over line ends. */
interface Reading {
  line: 'before' | 'magic' | 'body';
  within: '' | 'expression' | 'statement' | 'comment';
  quote: string;
  value: '' | 'plain' | 'jinja' | 'schema' | 'json';
  last: string;
  raw: boolean;
  body: '' | 'text' | 'json';
}

const WORDS = /^(?:if|else|elif|endif|for|in|endfor|set|not|and|or|is|true|false|none|filter|endfilter|block|endblock|macro|endmacro)\b/i;
const TYPES = /^(?:str|bool|int|float|date|datetime|quantity|list|any)\b/;

/** A token inside `{{ }}`, `{% %}` or `{# #}`. */
function jinja(stream: StringStream, reading: Reading): string {
  if (reading.within === 'comment') {
    if (stream.match('#}')) reading.within = '';
    else if (!stream.skipTo('#}')) stream.skipToEnd();
    return 'note';
  }
  if (stream.match(reading.within === 'expression' ? /^-?\}\}/ : /^-?%\}/)) {
    reading.within = '';
    return 'brace';
  }
  if (stream.eatSpace()) return '';
  if (stream.match(/^(?:"[^"]*"|'[^']*')/)) return 'string';
  if (stream.match(/^\d+(?:\.\d+)?/)) return 'number';
  if (stream.match(WORDS)) return 'statement';
  if (stream.match(/^[^\W\d]\w*/u)) return 'name';
  stream.next();
  return 'brace';
}

/** The start of a jinja2 piece; `all` where statements and comments count, too. */
function opening(stream: StringStream, reading: Reading, all: boolean): string {
  if (stream.match(/^\{\{-?/)) reading.within = 'expression';
  else if (all && stream.match(/^\{%-?/)) reading.within = 'statement';
  else if (all && stream.match('{#')) reading.within = 'comment';
  else return '';
  return reading.within === 'comment' ? 'note' : 'brace';
}

function json(stream: StringStream): string {
  if (stream.eatSpace()) return '';
  if (stream.match(/^"(?:[^"\\]|\\.)*"(?=\s*:)/)) return 'key';
  if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return 'string';
  if (stream.match(/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/)) return 'number';
  if (stream.match(/^(?:true|false|null)\b/)) return 'constant';
  stream.next();
  return 'punctuation';
}

/** A token inside a quoted value on the magic's line. Such a value may not go over the end of the line. */
function quoted(stream: StringStream, reading: Reading): string {
  if (stream.peek() === reading.quote) {
    stream.next();
    reading.quote = '';
    return 'string';
  }
  const start = stream.pos;
  // The closing quote ends the piece, whatever the reader of pieces thinks: it sees no further.
  const end = stream.string.indexOf(reading.quote, start);
  const rest = stream.string;
  if (end >= 0) stream.string = rest.slice(0, end);
  const token = inside(stream, reading);
  stream.string = rest;
  return token || (reading.value === 'plain' ? 'string' : '');
}

function inside(stream: StringStream, reading: Reading): string {
  switch (reading.value) {
    case 'jinja': {
      const opened = opening(stream, reading, true);
      if (opened) return opened;
      stream.next();
      stream.eatWhile(/[^{]/);
      return 'string';
    }
    case 'json':
      return json(stream);
    case 'schema':
      if (stream.eatSpace()) return '';
      if (stream.match(/^\d+(?:\.\d+)?/)) return 'number';
      if (stream.match(TYPES)) return 'kind';
      if (stream.match(/^[^\W\d]\w*/u)) return 'key';
      stream.next();
      return 'punctuation';
    default:
      stream.skipToEnd();
      return 'string';
  }
}

function magicLine(stream: StringStream, reading: Reading): string {
  if (reading.within) return jinja(stream, reading);
  if (reading.quote) return quoted(stream, reading);
  if (stream.eatSpace()) return '';
  const after = reading.last;
  if (stream.match(/^--?[a-zA-Z][\w-]*/)) {
    reading.last = stream.current();
    reading.raw ||= reading.last === '--raw';
    return 'option';
  }
  if (stream.match(/^["']/)) {
    reading.quote = stream.current();
    const isJson = /^\s*[{[]/.test(stream.string.slice(stream.pos));
    reading.value = after === '--format' ? 'jinja' : after === '--schema' ? (isJson ? 'json' : 'schema') : 'plain';
    return 'string';
  }
  if (stream.match(/^=/)) return 'punctuation';
  reading.last = '';
  if (stream.match(/^-?\d+(?:\.\d+)?(?=\s|$)/)) return 'number';
  stream.match(/^[^\s"'=]+/) || stream.next();
  return 'name';
}

/** JSON, as far as its first line tells; `{{` opens an expression. */
const JSON_START = /^\s*(?:\{\s*(?:["}]|$)|\[\s*(?:[\][{"\d-]|$))/;

function body(stream: StringStream, reading: Reading): string {
  if (reading.within) return jinja(stream, reading);
  if (!reading.body && /\S/.test(stream.string)) {
    reading.body = JSON_START.test(stream.string) ? 'json' : 'text';
  }
  const opened = reading.raw ? '' : opening(stream, reading, false);
  if (opened) return opened;
  if (reading.body === 'json') return json(stream);
  stream.next();
  stream.eatWhile(/[^{]/);
  return 'prose';
}

const parser: StreamParser<Reading> = {
  name: 'llm_magics',
  startState: () => ({ line: 'before', within: '', quote: '', value: '', last: '', raw: false, body: '' }),
  copyState: reading => ({ ...reading }),
  token(stream, reading) {
    if (reading.line === 'magic' && stream.sol()) {
      Object.assign(reading, { line: 'body', within: '', quote: '' });
    }
    if (reading.line === 'before') {
      if (stream.eatSpace()) return null;
      stream.match(/^%%\w+/) || stream.skipToEnd();
      reading.line = 'magic';
      return 'magic';
    }
    return (reading.line === 'magic' ? magicLine(stream, reading) : body(stream, reading)) || null;
  },
  blankLine(reading) {
    if (reading.line === 'magic') Object.assign(reading, { line: 'body', within: '', quote: '' });
  },
  indent: () => null,
  tokenTable: table,
  languageData: { closeBrackets: { brackets: ['{', '[', '('] } }
};

export const language: Language = StreamLanguage.define(parser);

// The theme has no colour for what is neither code nor string: prose takes the page's.
const style = HighlightStyle.define([{ tag: prose, color: 'var(--jp-content-font-color1)' }]);

/** Before the cell's own language: of several, CodeMirror takes the first. The two highlighters hold beside the theme's. */
function extension(label: string): Extension {
  // JupyterLab leaves its editors without a name for those who do not see them.
  const named = EditorView.contentAttributes.of({ 'aria-label': label });
  return Prec.highest([language, syntaxHighlighting(style), syntaxHighlighting(classes), named]);
}

function isOursText(text: Text): boolean {
  return isOurs(text.sliceString(0, 400));
}

/** Switches the language of a cell when its beginning does. A notebook sets one language for all of its cells, hence this way round. */
function switching(source: string, ours: Extension): Extension {
  const slot = new Compartment();
  return [
    slot.of(isOurs(source) ? ours : []),
    EditorState.transactionExtender.of(transaction => {
      if (!transaction.docChanged) return null;
      const wanted = isOursText(transaction.newDoc);
      const is = slot.get(transaction.startState) === ours;
      return wanted === is ? null : { effects: slot.reconfigure(wanted ? ours : []) };
    })
  ];
}

export function addLanguage(registry: IEditorExtensionRegistry, trans: TranslationBundle): void {
  const ours = extension(trans.__('Options, then text for the model'));
  registry.addExtension({
    name: 'llm_magics:language',
    factory: ({ model }) => EditorExtensionRegistry.createImmutableExtension(switching(model.sharedModel.getSource(), ours))
  });
}
