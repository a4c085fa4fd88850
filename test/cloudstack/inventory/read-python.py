"""What Python sources need, as JSON: the modules that they import, the commands that they run, and the paths that they name.

    read-python.py FILE…

Of a value that is known only when the program runs, '…' is in the command.
"""

import ast
import importlib.util
import json
import re
import sys

UNKNOWN = '…'
# Whatever runs its first argument, in the standard library and in CloudStack's own helpers.
RUNNERS = {
    *('call', 'check_call', 'check_output', 'getoutput', 'getstatusoutput', 'popen', 'Popen', 'run', 'system'),
    *('execute', 'execute2', 'execute3', 'execute_cmd', '_execute', 'shell', 'bash', 'runCmd'),
}


# Whatever makes the file that is its first argument, or does not mind that there is none.
MAKERS = {'makedirs', 'mkdir', 'CsFile', 'CsDatabag', 'DataBag', 'isfile', 'exists', 'isdir', 'remove', 'rm', 'FileHandler'}
PATH = re.compile(r'/(etc|usr|opt|var|root|home|bin|sbin|lib|srv)(/[\w.@+-]+)+/?')


def text_of(node: ast.AST) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Mod()):
            return text_of(left).replace('%s', UNKNOWN).replace('%d', UNKNOWN)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return text_of(left) + text_of(right)
        case ast.JoinedStr(values=values):
            return ''.join(text_of(value) for value in values)
        case ast.Call(func=ast.Attribute(value=value, attr='format')):
            return text_of(value)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return ' '.join(text_of(item) for item in items)
    return UNKNOWN


def name_of(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ''


def makes_first(call: ast.Call) -> bool:
    if name_of(call.func) != 'open':
        return name_of(call.func) in MAKERS
    modes = [text_of(word) for word in (*call.args[1:2], *(word.value for word in call.keywords if word.arg == 'mode'))]
    return any(mode[:1] in ('w', 'a', 'x') for mode in modes)


def read(path: str) -> dict[str, list[str]]:
    with open(path, encoding='utf-8') as file:
        tree = ast.parse(file.read(), path)
    imports, commands, paths, made = set(), set(), set(), set()
    for scope in (tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))):
        # Commands and paths are often given a name before they are used.
        named: dict[str, set[str]] = {}
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    named.setdefault(name_of(target), set()).add(text_of(node.value))

        def texts(node: ast.AST, named: dict[str, set[str]] = named) -> set[str]:
            return named.get(name_of(node), set()) if isinstance(node, ast.Name) else {text_of(node)}

        for node in ast.walk(scope):
            match node:
                case ast.Constant(value=str(text)) if PATH.fullmatch(text):
                    paths.add(text.rstrip('/'))
                case ast.Import(names=names):
                    imports |= {alias.name for alias in names}
                case ast.ImportFrom(module=str(module), level=0):
                    imports.add(module)
                case ast.Call(func=function, args=[first, second, *_]) if name_of(function) == 'service':
                    commands.add(f'systemctl {text_of(second)} {text_of(first)}')
                case ast.Call(func=function, args=[first, *_]) if name_of(function) in RUNNERS and scope is not tree:
                    commands |= texts(first)
                case ast.Call(args=[first, *_]) if makes_first(node):
                    made |= {text.rstrip('/') for text in texts(first)}
    return {
        'imports': sorted(imports),
        'commands': sorted(commands - {UNKNOWN}),
        'paths': sorted(paths),
        'made': sorted(made & paths),
    }


def is_compiled(name: str) -> bool:
    """Whether a module of the standard library is no Python file: a distribution may have built it in."""
    spec = importlib.util.find_spec(name)
    return spec is None or not str(spec.origin).endswith('.py')


sources = {path: read(path) for path in sys.argv[1:]}
compiled = [name for name in sorted(sys.stdlib_module_names) if not name.startswith('_') and is_compiled(name)]
json.dump({'sources': sources, 'compiled': compiled}, sys.stdout)
