//! Requests to language models in Azure (Patel et al., "Splitwise", ISCA 2024): when, how long the prompt, how long the
//! answer.

use jiff::tz::TimeZone;

use super::{
    ReadError, Text,
    table::{Layout, Table},
    time::{local, utc_ms},
};

/// One request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InferenceRequest {
    /// When it arrived, in milliseconds since 1970 UTC, cut down from 100 nanoseconds.
    pub at_ms: i64,
    /// Tokens of the prompt.
    pub context_tokens: u32,
    /// Tokens of the answer.
    pub generated_tokens: u32,
}

/// Reads `TIMESTAMP,ContextTokens,GeneratedTokens`. Every line becomes a request, none is dropped; they are put in
/// order of arrival, equal times in file order. Times without zone are UTC; the traces of 2024 write `+00:00` after
/// them.
pub fn read_azure(text: &Text) -> Result<Vec<InferenceRequest>, ReadError> {
    let mut table = Table::open(text, Layout::csv(&["TIMESTAMP", "ContextTokens", "GeneratedTokens"]))?;
    let mut requests = Vec::new();
    while let Some(row) = table.row()? {
        requests.push(InferenceRequest {
            at_ms: row.read(0, "a time such as 2023-11-16 18:15:46.6805900", |found| {
                let found = found.strip_suffix("+00:00").unwrap_or(found);
                utc_ms(local(found, "%Y-%m-%d %H:%M:%S%.f")?, &TimeZone::UTC)
            })?,
            context_tokens: row.parse(1, "a whole number of tokens")?,
            generated_tokens: row.parse(2, "a whole number of tokens")?,
        });
    }
    requests.sort_by_key(|request| request.at_ms);
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_cut_to_milliseconds() {
        let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6809900,374,44\n\
                    2023-11-16 18:15:46,5,0\n2024-05-10 00:00:00.009930+00:00,2162,5\n";
        let requests = read_azure(&Text::new("azure.csv", text)).expect("well formed");
        let request =
            |at_ms, context_tokens, generated_tokens| InferenceRequest { at_ms, context_tokens, generated_tokens };
        assert_eq!(
            requests,
            [
                request(1_700_158_546_000, 5, 0),
                request(1_700_158_546_680, 374, 44),
                request(1_715_299_200_009, 2162, 5)
            ],
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        fn check(line: &str, expected: &str) {
            let text = format!("TIMESTAMP,ContextTokens,GeneratedTokens\n{line}\n");
            let error = read_azure(&Text::new("azure.csv", text)).expect_err("malformed").to_string();
            assert!(error.contains("line 2") && error.contains(expected), "{error}");
        }
        check("2023-11-16,1,1", "field `TIMESTAMP`: `2023-11-16` where a time");
        check("2023-11-16 18:15:46.68,-1,1", "field `ContextTokens`: `-1` where a whole number of tokens");
        check("2023-11-16 18:15:46.68,1,", "field `GeneratedTokens`: ``");
    }
}
