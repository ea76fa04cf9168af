//! Globs as grants and policies write them: `*` stays within a path segment, `**` crosses them, everything else is literal. Matching
//! takes time proportional to glob × text, whatever the glob.

/// One element of a glob.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Literal(char),
    Segment,
    Any,
}

fn tokens(glob: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    for c in glob.chars() {
        match (c, tokens.last()) {
            ('*', Some(Token::Segment)) => {
                tokens.pop();
                tokens.push(Token::Any);
            }
            ('*', Some(Token::Any)) => {}
            ('*', _) => tokens.push(Token::Segment),
            (c, _) => tokens.push(Token::Literal(c)),
        }
    }
    tokens
}

/// Whether `text` matches the whole of `glob`.
pub fn matches(glob: &str, text: &str) -> bool {
    let tokens = tokens(glob);
    // reached[i]: the first i tokens match what was read so far.
    let mut reached = vec![false; tokens.len() + 1];
    reached[0] = true;
    skip_stars(&tokens, &mut reached);
    for c in text.chars() {
        let mut next = vec![false; tokens.len() + 1];
        for (i, token) in tokens.iter().enumerate() {
            if !reached[i] {
                continue;
            }
            match token {
                Token::Literal(expected) if *expected == c => next[i + 1] = true,
                Token::Segment if c != '/' => next[i] = true,
                Token::Any => next[i] = true,
                Token::Literal(_) | Token::Segment => {}
            }
        }
        skip_stars(&tokens, &mut next);
        reached = next;
    }
    reached[tokens.len()]
}

fn skip_stars(tokens: &[Token], reached: &mut [bool]) {
    for (i, token) in tokens.iter().enumerate() {
        if reached[i] && !matches!(token, Token::Literal(_)) {
            reached[i + 1] = true;
        }
    }
}

/// Whether everything that `narrow` matches is matched by `wide` too. Says no where it cannot be sure.
pub fn covers(wide: &str, narrow: &str) -> bool {
    if wide == narrow || (!narrow.contains('*') && matches(wide, narrow)) {
        return true;
    }
    // Only one run of stars, at the end.
    let (prefix, crosses) = match (wide.strip_suffix("**"), wide.strip_suffix('*')) {
        (Some(prefix), _) => (prefix, true),
        (None, Some(prefix)) => (prefix, false),
        (None, None) => return false,
    };
    if prefix.contains('*') || !literal_prefix(narrow).starts_with(prefix) {
        return false;
    }
    let rest = &narrow[prefix.len()..];
    crosses || (!rest.contains('/') && !rest.contains("**"))
}

fn literal_prefix(glob: &str) -> &str {
    glob.split_once('*').map_or(glob, |(prefix, _)| prefix)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_star_stays_within_a_segment_and_two_cross() {
        assert!(matches("registry.example.com/*", "registry.example.com/bao:1"));
        assert!(!matches("registry.example.com/*", "registry.example.com/team/bao:1"));
        assert!(matches("registry.example.com/**", "registry.example.com/team/bao:1"));
        assert!(!matches("registry.example.com/**", "registry.example.com.evil.test/bao:1"));
        assert!(matches("a*c", "ac") && matches("**", "") && !matches("", "a"));
    }

    #[test]
    fn a_glob_full_of_stars_takes_no_exponential_time() {
        assert!(!matches(&"*a".repeat(64), &"a".repeat(4096).replace("aaaa", "aaab")[..4000].replace('a', "b")));
    }

    proptest! {
        #[test]
        fn what_is_covered_is_matched(wide in "[ab/*]{0,6}", narrow in "[ab/*]{0,6}", text in "[ab/]{0,6}") {
            if covers(&wide, &narrow) && matches(&narrow, &text) {
                prop_assert!(matches(&wide, &text));
            }
        }
    }
}
