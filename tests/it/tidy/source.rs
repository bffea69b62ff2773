//! Rust text as far as the house rules must read it: code without comments and literals, where its
//! functions begin and end, which words it is made of.

/// A source file up to its tests.
pub fn without_tests(text: &str) -> &str {
    text.split("\n#[cfg(test)]\nmod ").next().unwrap()
}

/// The lines that are not comments, numbered from one.
pub fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The text with comments, strings and characters blanked, every line where it was.
pub fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => comment_end(&chars, at),
            '"' => string_end(&chars, at),
            'r' if is_raw_string(&chars, at) => raw_string_end(&chars, at),
            '\'' => character_end(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        // What stood there is gone, where lines end is not.
        out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end;
    }
    out
}

fn line_end(chars: &[char], at: usize) -> usize {
    chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |length| at + length)
}

fn comment_end(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut next = at;
    while next + 1 < chars.len() {
        match (chars[next], chars[next + 1]) {
            ('/', '*') => (depth, next) = (depth + 1, next + 2),
            ('*', '/') => (depth, next) = (depth - 1, next + 2),
            _ => next += 1,
        }
        if depth == 0 {
            return next;
        }
    }
    chars.len()
}

fn string_end(chars: &[char], at: usize) -> usize {
    let mut next = at + 1;
    while next < chars.len() {
        match chars[next] {
            '\\' => next += 2,
            '"' => return next + 1,
            _ => next += 1,
        }
    }
    chars.len()
}

fn is_raw_string(chars: &[char], at: usize) -> bool {
    let is_start = at == 0 || !is_word(chars[at - 1]) || chars[at - 1] == 'b';
    is_start && chars[at + 1..].iter().find(|c| **c != '#') == Some(&'"')
}

fn raw_string_end(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let mut next = at + hashes + 2;
    while next < chars.len() {
        if chars[next] == '"' && chars[next + 1..].iter().take(hashes).all(|c| *c == '#') {
            return next + 1 + hashes;
        }
        next += 1;
    }
    chars.len()
}

/// A quote begins a character or a lifetime; only the first is a literal.
fn character_end(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            let length = chars[at + 3..].iter().position(|c| *c == '\'').unwrap();
            at + 4 + length
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Words, `::` and single signs, each with the number of its line.
pub fn tokens(code: &str) -> Vec<(usize, &str)> {
    let mut tokens = Vec::new();
    for (index, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while let Some(first) = rest.chars().next() {
            let length = if is_word(first) {
                rest.find(|c| !is_word(c)).unwrap_or(rest.len())
            } else if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            tokens.push((index + 1, &rest[..length]));
            rest = rest[length..].trim_start();
        }
    }
    tokens
}

/// The functions of a text: name, first line, number of lines from there to the closing brace.
pub fn functions(text: &str) -> Vec<(String, usize, usize)> {
    let code = code(text);
    let tokens = tokens(&code);
    let mut functions = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        let ((line, word), (_, name)) = (pair[0], pair[1]);
        if word != "fn" || !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            continue;
        }
        let mut depth = 0;
        for (end, sign) in &tokens[at..] {
            match *sign {
                "{" => depth += 1,
                "}" => depth -= 1,
                ";" if depth == 0 => break,
                _ => continue,
            }
            if depth == 0 && *sign == "}" {
                functions.push((name.to_owned(), line, end - line + 1));
                break;
            }
        }
    }
    functions
}

#[test]
fn literals_and_comments_are_no_code() {
    let text =
        "let a = \"{ // \\\" \"; // {\nlet b = '{'; /* { /* */ { */ let c: &'a str = r#\"\"{\"#;";
    let words: String = code(text).split_whitespace().collect();
    assert_eq!(words, "leta=;letb=;letc:&'astr=;");
    assert_eq!(code(text).lines().count(), 2);
}

#[test]
fn a_function_is_counted_from_its_name_to_its_brace() {
    let text =
        "trait A {\n  fn a(&self) -> [u8; 3];\n  fn b() {\n    '}'\n  }\n}\nfn c() { \"}\"; }";
    let found = functions(text);
    assert_eq!(found, [("b".to_owned(), 3, 3), ("c".to_owned(), 7, 1)]);
}
