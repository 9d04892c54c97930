// GraphQL, in which prisma-client-py asks, to the JSON protocol, which Prisma's WebAssembly engine
// understands; and answers back. Both say the same: a model, an action, arguments, a selection.
import { parse } from 'graphql';

const ACTIONS = [
  'findUnique', 'findFirst', 'findMany', 'createOne', 'createMany', 'updateOne', 'updateMany',
  'upsertOne', 'deleteOne', 'deleteMany', 'aggregate', 'groupBy',
];
const RAW_ACTIONS = ['queryRaw', 'executeRaw'];

// Words in a filter of a Json column that are not themselves JSON.
const NO_JSON = ['path', 'mode', 'string_contains', 'string_starts_with', 'string_ends_with'];

// The names of a schema's models, each with the names of its Json columns.
export function jsonColumns(schema) {
  const models = schema.matchAll(/^model\s+(\w+)\s*\{([\s\S]*?)^\}/gm);
  return new Map([...models].map(([, name, body]) => {
    const columns = body.matchAll(/^\s+(\w+)\s+Json\b/gm);
    return [name, new Set([...columns].map(([, column]) => column))];
  }));
}

// One GraphQL document with one operation → the name its answer goes by, and the query.
export function toQuery(document, models) {
  const [field] = parse(document).definitions[0].selectionSet.selections;
  const operation = field.name.value;
  const resultName = (field.alias ?? field.name).value;
  if (RAW_ACTIONS.includes(operation)) {
    return { resultName, query: { action: operation, query: { arguments: argumentsOf(field), selection: {} } } };
  }
  for (const action of ACTIONS) {
    const modelName = operation.slice(action.length);
    if (operation.startsWith(action) && models.has(modelName)) {
      const given = markJson(argumentsOf(field), models.get(modelName));
      const query = { arguments: given, selection: selectionOf(field.selectionSet) };
      return { resultName, query: { modelName, action, query } };
    }
  }
  throw new Error(`no operation of this schema: ${operation}`);
}

function argumentsOf(field) {
  return Object.fromEntries(field.arguments.map((given) => [given.name.value, valueOf(given.value)]));
}

function valueOf(node) {
  switch (node.kind) {
    case 'NullValue':
      return null;
    case 'IntValue':
      // JavaScript's numbers end at 2^53, the database's BigInt at 2^63.
      return Number.isSafeInteger(Number(node.value))
        ? Number(node.value)
        : { $type: 'BigInt', value: node.value };
    case 'FloatValue':
      return Number(node.value);
    case 'ListValue':
      return node.values.map(valueOf);
    case 'ObjectValue':
      return Object.fromEntries(node.fields.map((part) => [part.name.value, valueOf(part.value)]));
    default: // StringValue, EnumValue, BooleanValue
      return node.value;
  }
}

function selectionOf(selectionSet) {
  return Object.fromEntries(selectionSet.selections.map((field) => [field.name.value, selected(field)]));
}

function selected(field) {
  if (field.selectionSet) {
    return { arguments: argumentsOf(field), selection: selectionOf(field.selectionSet) };
  }
  return field.arguments.length ? { arguments: argumentsOf(field) } : true;
}

// In GraphQL the value of a Json column is a text like any other; the JSON protocol marks it.
function markJson(given, columns) {
  if (Array.isArray(given)) {
    return given.map((part) => markJson(part, columns));
  }
  if (given === null || typeof given !== 'object') {
    return given;
  }
  const marked = ([name, value]) => [
    name,
    columns.has(name) ? markedValue(value) : markJson(value, columns),
  ];
  return Object.fromEntries(Object.entries(given).map(marked));
}

function markedValue(value) {
  if (typeof value === 'string') {
    return { $type: 'Json', value };
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    return value;
  }
  const marked = ([word, part]) => [
    word,
    typeof part === 'string' && !NO_JSON.includes(word) ? { $type: 'Json', value: part } : part,
  ];
  return Object.fromEntries(Object.entries(value).map(marked));
}

// An answer without the JSON protocol's marks, as GraphQL has it.
export function plain(value) {
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (value === null || typeof value !== 'object') {
    return value;
  }
  if ('$type' in value) {
    return value.$type === 'BigInt' ? Number(value.value) : value.value;
  }
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}
