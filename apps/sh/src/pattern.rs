//! Pathname patterns: `*`, `?`, `[a-z]`, `[!a-z]` (POSIX XCU 2.13).

/// Whether `name` matches `pattern`; the characters at the byte offsets `literal` stand for themselves.
pub fn matches(pattern: &str, literal: &[usize], name: &str) -> bool {
    let p: alloc::vec::Vec<(usize, char)> = pattern.char_indices().collect();
    let n: alloc::vec::Vec<char> = name.chars().collect();
    // Greedy with one point to come back to: linear in the name for each star.
    let (mut pi, mut ni) = (0usize, 0usize);
    let mut back: Option<(usize, usize)> = None;
    loop {
        let special = |i: usize, c: char| p.get(i).is_some_and(|&(at, x)| x == c && !literal.contains(&at));
        if special(pi, '*') {
            back = Some((pi.saturating_add(1), ni));
            pi = pi.saturating_add(1);
            continue;
        }
        let step = match (p.get(pi), n.get(ni)) {
            (None, None) => return true,
            (Some(_), Some(&c)) if special(pi, '?') => Some((pi.saturating_add(1), c)),
            (Some(_), Some(&c)) if special(pi, '[') => match bracket(&p, pi, c) {
                Some((next, true)) => Some((next, c)),
                Some((_, false)) => None,
                None if c == '[' => Some((pi.saturating_add(1), c)),
                None => None,
            },
            (Some(&(_, x)), Some(&c)) if x == c => Some((pi.saturating_add(1), c)),
            _ => None,
        };
        match (step, back) {
            (Some((next, _)), _) => {
                pi = next;
                ni = ni.saturating_add(1);
            }
            (None, Some((at, from))) if from < n.len() => {
                back = Some((at, from.saturating_add(1)));
                (pi, ni) = (at, from.saturating_add(1));
            }
            _ => return false,
        }
    }
}

/// The end of the bracket expression at `start`, and whether `c` is in it; `None` when it never closes.
fn bracket(p: &[(usize, char)], start: usize, c: char) -> Option<(usize, bool)> {
    let mut i = start.checked_add(1)?;
    let inverted = matches!(p.get(i)?.1, '!' | '^');
    if inverted {
        i = i.checked_add(1)?;
    }
    let first = i;
    let mut found = false;
    loop {
        let x = p.get(i)?.1;
        if x == ']' && i > first {
            return Some((i.checked_add(1)?, found != inverted));
        }
        let dash = i.checked_add(1)?;
        let high = i.checked_add(2)?;
        match (p.get(dash), p.get(high)) {
            (Some((_, '-')), Some(&(_, end))) if end != ']' => {
                found |= (x..=end).contains(&c);
                i = high.checked_add(1)?;
            }
            _ => {
                found |= x == c;
                i = dash;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_questions_and_brackets() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*b*c", "aXbbYc", true),
            ("a*b*c", "aXbbY", false),
            ("?", "", false),
            ("?", "é", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[a", "[a", true),
            ("[-a]", "-", true),
            ("*.txt", "a.txt.b", false),
        ] {
            assert_eq!(matches(pattern, &[], name), expected, "{pattern} {name}");
        }
        assert!(!matches("*", &[0], "a") && matches("*", &[0], "*"));
    }
}
