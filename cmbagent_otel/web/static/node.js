// The page of one node: whole without this; here are the buttons that copy.

import { enhance } from "./drawer.js";

enhance(document);
