// Prints the JSON Schema of the configuration file, for editors, from the definitions that it is checked by.
//
// Usage: npm run schema, which writes it to docs/hopline.schema.json.
import { toJsonSchema } from '@valibot/to-json-schema';
import { configSchema } from '../src/config/schema.ts';

const schema = toJsonSchema(configSchema, {
  typeMode: 'input',
  errorMode: 'ignore',
  overrideSchema: ({ valibotSchema, jsonSchema }) => {
    // The converter has no shorter way to say that there are no other keys.
    return valibotSchema.type === 'object_with_rest' ? { ...jsonSchema, additionalProperties: false } : undefined;
  },
});
console.log(JSON.stringify({ ...schema, title: 'hopline.yaml' }, null, 2));
