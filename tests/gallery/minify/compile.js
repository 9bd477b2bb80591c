// What a build of TypeScript's compiler makes of some code: compile.js COMPILER DECLARATIONS
const fs = require("fs");
const ts = require(fs.realpathSync(process.argv[2]));

const source = `enum Colour { Red, Green = 5 }
class Box<T> {
    #v: T;
    constructor(private readonly name: string, v: T) { this.#v = v; }
    get value(): T { return this.#v; }
}
async function* all<T>(...xs: T[]) { for (const x of xs) yield x ?? null; }
let { a = 1, ...rest }: any = { b: [/[/]x/g, \`\${Colour.Red}\`] };
export default new Box("a", Colour.Red).value;`;
for (const target of ["ES5", "ES2015", "ES2022"]) {
    const options = { target: ts.ScriptTarget[target], module: ts.ModuleKind.CommonJS, sourceMap: true };
    const result = ts.transpileModule(source + "\nlet wrong = ;", { compilerOptions: options, reportDiagnostics: true });
    console.log(result.outputText, result.sourceMapText, result.diagnostics.map((one) => [one.start, one.messageText]));
}
const file = ts.createSourceFile("a.ts", fs.readFileSync(process.argv[3], "utf8"), ts.ScriptTarget.ES2022, true);
const kinds = {};
(function walk(node) {
    const kind = ts.SyntaxKind[node.kind];
    kinds[kind] = (kinds[kind] || 0) + 1;
    ts.forEachChild(node, walk);
})(file);
console.log(kinds);
