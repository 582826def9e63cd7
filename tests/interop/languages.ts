// Clients in languages that few machines have all of.

import {
  further,
  furtherTls,
  testLanguage,
  testTls,
} from "../languages/languages.ts";

further.forEach(testLanguage);
furtherTls.forEach(testTls);
