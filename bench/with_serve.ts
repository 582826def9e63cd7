import { serve } from "../server.ts";
import { report } from "./report.ts";

serve(
  { hostname: "127.0.0.1", port: 0, onListen: report },
  (conn) => conn.bytes(),
);
