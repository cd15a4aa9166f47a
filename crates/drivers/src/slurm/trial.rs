//! Whether the agent may submit for each tenant of `[users]`: tried as an order would be, without one. Rules of `sudo`,
//! the way to the folder, accounts and partitions are for the system and Slurm to judge.

use super::{
    client::{Answer, first_line},
    shared::Shared,
    users::{User, Whose},
};

/// Tries each entry of the list: whose jobs run as whom, and why not where they cannot.
pub(super) fn entries(shared: &Shared) -> Vec<(String, Result<(), String>)> {
    let entries = shared.users.entries();
    entries.map(|(whose, user)| (format!("{whose} as {}", user.name), read(&call(shared, whose, user)))).collect()
}

/// `--test-only` submits nothing.
fn call(shared: &Shared, whose: &Whose, user: &User) -> Answer {
    let mut arguments = vec!["--test-only".to_owned(), "--nodes=1".to_owned(), "--ntasks=1".to_owned()];
    let folder = shared.files.paths.dir.display();
    arguments.extend(["--time=1".to_owned(), "--output=/dev/null".to_owned(), format!("--chdir={folder}")]);
    arguments.push(format!("--partition={}", shared.config.partitions.join(",")));
    arguments.extend(shared.config.account_of(whose.tenant()).map(|account| format!("--account={account}")));
    arguments.push(shared.files.wrapper().display().to_string());
    shared.client.call_as(Some(user), "sbatch", &arguments)
}

fn read(answer: &Answer) -> Result<(), String> {
    if answer.success {
        return Ok(());
    }
    // The last line is why, where one before is a notice.
    let last = answer.stderr.trim().lines().next_back().unwrap_or_default();
    Err(first_line(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_says_why_not() {
        let check = |success: bool, stderr: &str, expected: Result<(), &str>| {
            let answer = Answer { success, stdout: String::new(), stderr: stderr.to_owned() };
            assert_eq!(
                read(&answer).as_ref().map_err(String::as_str),
                expected.as_ref().map(|()| &()).map_err(|why| *why)
            );
        };
        check(true, "sbatch: Job 7 to start at 2026-11-23T08:00:00 using 1 processors\n", Ok(()));
        check(false, "sudo: a password is required\n", Err("sudo: a password is required"));
        let invalid = "allocation failure: Invalid account or account/partition combination specified";
        check(false, &format!("sbatch: error: a notice\n{invalid}\n"), Err(invalid));
        check(false, "", Err("no message"));
    }
}
