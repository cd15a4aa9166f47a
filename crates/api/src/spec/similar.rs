//! "Did you mean": the nearest known word.

/// The known word nearest to `word`, when at most two slips away (a letter too many, missing, wrong,
/// or two neighbours swapped) and not as far as the word is long.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let slips_max = word.chars().count().saturating_sub(1).min(2);
    known
        .into_iter()
        .map(|candidate| (slips(word, candidate), candidate))
        .filter(|&(slips, _)| slips <= slips_max)
        .min_by_key(|&(slips, _)| slips)
        .map(|(_, candidate)| candidate)
}

/// The longest word compared, in characters: no field is longer, and the work grows with the square.
const WORD_LENGTH_MAX: usize = 64;

/// Optimal string alignment distance (Damerau, each pair swapped at most once).
fn slips(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(WORD_LENGTH_MAX + 1).collect();
    let b: Vec<char> = b.chars().take(WORD_LENGTH_MAX + 1).collect();
    if a.len().max(b.len()) > WORD_LENGTH_MAX {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_allows_two_slips() {
        let known = ["memory", "name", "cores", "centres", "walltime"];
        let check = |word: &str, expected: Option<&str>| assert_eq!(nearest(word, known), expected, "{word}");
        check("memroy", Some("memory"));
        check("core", Some("cores"));
        check("wall_time", Some("walltime"));
        check("centers", Some("centres"));
        check("mem", None);
        check("x", None);
        check("", None);
        check(&"memory".repeat(100), None);
    }
}
