// Prints the JSON Schema of the configuration file, for editors, from the definitions that it is checked by.
//
// Usage: npm run schema, which writes it to docs/hopline.schema.json.
import { toJsonSchema } from '@valibot/to-json-schema';
import { configSchema } from '../dist/config/schema/schema.js';

console.log(JSON.stringify({ ...convert(configSchema), title: 'hopline.yaml' }, null, 2));

function convert(schema) {
  return toJsonSchema(schema, { typeMode: 'input', errorMode: 'ignore', overrideSchema: complete });
}

/** What the converter leaves out: that a mapping has no other keys, and what stands behind a key that must be there. */
function complete({ valibotSchema, jsonSchema }) {
  const own = valibotSchema.pipe?.[0] ?? valibotSchema;
  if (own.type === 'object_with_rest') return { ...jsonSchema, additionalProperties: false };
  if (own.type !== 'non_optional') return undefined;
  const { $schema: _, ...wrapped } = convert(own.wrapped);
  return { ...wrapped, ...jsonSchema };
}
