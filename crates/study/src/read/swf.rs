//! The Standard Workload Format of the Parallel Workloads Archive, version 2.2: header comments that begin with
//! `;`, then one job a line with 18 numbers, -1 for what is not known
//! (<https://www.cs.huji.ac.il/labs/parallel/workload/swf.html>).

use super::{ReadError, Text};

/// A whole log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SwfLog {
    /// `MaxProcs` of the header.
    pub processors_max: Option<u64>,
    /// `MaxNodes` of the header.
    pub nodes_max: Option<u64>,
    /// `Computer` and `Installation` of the header.
    pub machine: String,
    /// The jobs in the order of the file.
    pub jobs: Vec<SwfJob>,
}

/// One line: one job. Times are milliseconds from the beginning of the log; `None` is a -1 in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SwfJob {
    /// Field 1.
    pub number: u64,
    /// Field 2.
    pub submit_ms: u64,
    /// Field 3.
    pub wait_ms: Option<u64>,
    /// Field 4: from start to end.
    pub run_ms: Option<u64>,
    /// Field 5.
    pub processors_allocated: Option<u64>,
    /// Field 6: mean over the processors.
    pub cpu_ms: Option<u64>,
    /// Field 7: KiB on each processor.
    pub memory_used_kib: Option<u64>,
    /// Field 8.
    pub processors_requested: Option<u64>,
    /// Field 9: the user's estimate of the run time.
    pub time_requested_ms: Option<u64>,
    /// Field 10: KiB on each processor.
    pub memory_requested_kib: Option<u64>,
    /// Field 11: 0 failed, 1 completed, 2 to 4 parts of a job with checkpoints, 5 cancelled.
    pub status: Option<u64>,
    /// Field 12.
    pub user: Option<u64>,
    /// Field 13.
    pub group: Option<u64>,
    /// Field 14: the application.
    pub executable: Option<u64>,
    /// Field 15.
    pub queue: Option<u64>,
    /// Field 16: in a grid, the site.
    pub partition: Option<u64>,
    /// Field 17: the job that must end before this one is submitted.
    pub preceding_job: Option<u64>,
    /// Field 18: from that end to the submission.
    pub think_ms: Option<u64>,
}

impl SwfJob {
    /// The processors that it asked for, else those that it was given; `None` where neither is told.
    pub fn processors(&self) -> Option<u64> {
        let known = |value: Option<u64>| value.filter(|value| *value > 0);
        known(self.processors_requested).or(known(self.processors_allocated))
    }
}

/// The fields in their order, with the names they have in messages.
const FIELDS: [&str; 18] = [
    "job number",
    "submit time",
    "wait time",
    "run time",
    "allocated processors",
    "average CPU time",
    "used memory",
    "requested processors",
    "requested time",
    "requested memory",
    "status",
    "user",
    "group",
    "executable",
    "queue",
    "partition",
    "preceding job",
    "think time",
];

/// The largest number that is read: 300,000 years in milliseconds fit into 64 bits, and so do sums of them.
const NUMBER_MAX: u64 = 10_000_000_000_000;

/// Reads a log. Times may have a fraction, which is kept to the millisecond; everything else must be whole.
pub fn read_swf(text: &Text) -> Result<SwfLog, ReadError> {
    let mut log = SwfLog::default();
    for (line, content) in (1..).zip(text.text.lines()) {
        let content = content.trim();
        if let Some(comment) = content.strip_prefix(';') {
            header(&mut log, text, line, comment)?;
        } else if !content.is_empty() {
            log.jobs.push(job(text, line, content)?);
        }
    }
    if log.jobs.is_empty() {
        let lines = text.text.lines().count().max(1) as u64;
        return Err(text.form(lines, "the log holds no job", "a log in SWF has one line of 18 numbers for each job"));
    }
    Ok(log)
}

/// Takes what is needed from a header comment; the rest is for people.
fn header(log: &mut SwfLog, text: &Text, line: u64, comment: &str) -> Result<(), ReadError> {
    let Some((name, value)) = comment.split_once(':') else { return Ok(()) };
    let (name, value) = (name.trim(), value.trim());
    match name {
        "MaxProcs" => log.processors_max = size(text, line, name, value)?,
        "MaxNodes" => log.nodes_max = size(text, line, name, value)?,
        "Computer" | "Installation" if log.machine.is_empty() => log.machine = value.to_owned(),
        "Computer" | "Installation" => log.machine = format!("{}, {value}", log.machine),
        _ => {}
    }
    Ok(())
}

/// A size in the header: a number, which text for people may follow; -1 where it is not known.
fn size(text: &Text, line: u64, name: &str, value: &str) -> Result<Option<u64>, ReadError> {
    let word = value.split_whitespace().next().unwrap_or_default().trim_end_matches([',', ';']);
    if word == "-1" {
        return Ok(None);
    }
    match word.parse::<u64>() {
        Ok(size) if (1..=NUMBER_MAX).contains(&size) => Ok(Some(size)),
        _ => Err(text.field(line, name, value, "a number from 1")),
    }
}

fn job(text: &Text, line: u64, content: &str) -> Result<SwfJob, ReadError> {
    let mut words = [""; 18];
    let mut count = 0;
    for word in content.split_whitespace() {
        if let Some(place) = words.get_mut(count) {
            *place = word;
        }
        count += 1;
    }
    if count != FIELDS.len() {
        let problem = format!("{count} fields where 18 were expected");
        return Err(text.form(line, problem, "a job in SWF is 18 numbers, -1 for what is not known"));
    }
    let whole =
        |field: usize| number(words[field], 0).ok_or_else(|| wrong(text, line, field, &words, "a whole number"));
    let time = |field: usize| number(words[field], 3).ok_or_else(|| wrong(text, line, field, &words, "a time in s"));
    let known = |field: usize, value: Option<u64>| {
        value.ok_or_else(|| wrong(text, line, field, &words, "a number from 0, which every job has"))
    };
    Ok(SwfJob {
        number: known(0, whole(0)?)?,
        submit_ms: known(1, time(1)?)?,
        wait_ms: time(2)?,
        run_ms: time(3)?,
        processors_allocated: whole(4)?,
        cpu_ms: time(5)?,
        memory_used_kib: number(words[6], 0)
            .or_else(|| number(words[6], 3).map(|thousandths| thousandths.map(|kib| kib / 1000)))
            .ok_or_else(|| wrong(text, line, 6, &words, "a number"))?,
        processors_requested: whole(7)?,
        time_requested_ms: time(8)?,
        memory_requested_kib: number(words[9], 0)
            .or_else(|| number(words[9], 3).map(|thousandths| thousandths.map(|kib| kib / 1000)))
            .ok_or_else(|| wrong(text, line, 9, &words, "a number"))?,
        status: whole(10)?,
        user: whole(11)?,
        group: whole(12)?,
        executable: whole(13)?,
        queue: whole(14)?,
        partition: whole(15)?,
        preceding_job: whole(16)?,
        think_ms: time(17)?,
    })
}

fn wrong(text: &Text, line: u64, field: usize, words: &[&str; 18], expected: &str) -> ReadError {
    text.field(line, FIELDS[field], words[field], &format!("{expected}, or -1 for what is not known,"))
}

/// A number with at most so many digits kept after the point, as an integer in that unit; `Some(None)` for -1 (and
/// any other negative number, as some logs have), `None` for what is no number or too large.
fn number(word: &str, digits: usize) -> Option<Option<u64>> {
    let (negative, word) = word.strip_prefix('-').map_or((false, word), |rest| (true, rest));
    let (whole, fraction) = word.split_once('.').unwrap_or((word, ""));
    let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !numeric(whole) || !numeric(fraction) {
        return None;
    }
    // Without digits to keep, only a fraction of nothing is whole.
    if digits == 0 && fraction.bytes().any(|byte| byte != b'0') {
        return None;
    }
    let kept = &fraction[..fraction.len().min(digits)];
    let scale = |digits: usize| 10_u64.pow(u32::try_from(digits).unwrap_or(0));
    let value = whole.parse::<u64>().ok().filter(|value| *value <= NUMBER_MAX)?;
    let part = if kept.is_empty() { 0 } else { kept.parse::<u64>().ok()? * scale(digits - kept.len()) };
    Some((!negative).then(|| value * scale(digits) + part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<SwfLog, ReadError> {
        read_swf(&Text::new("log.swf", text))
    }

    const LINE: &str = "3 10.5 -1 20 4 7.38 -1 8 60 -1 1 5 -1 -1 -1 2 -1 -1";

    #[test]
    fn header_and_fields_are_read() {
        let text = format!(
            "; Computer: SP2\n;Installation: KTH\n; MaxProcs: 100\n; MaxNodes: -1\n; Note: a: b\n\n  {LINE}\r\n"
        );
        let log = read(&text).expect("a log");
        assert_eq!((log.processors_max, log.nodes_max, log.machine.as_str()), (Some(100), None, "SP2, KTH"));
        let expected = SwfJob {
            number: 3,
            submit_ms: 10_500,
            run_ms: Some(20_000),
            processors_allocated: Some(4),
            cpu_ms: Some(7_380),
            processors_requested: Some(8),
            time_requested_ms: Some(60_000),
            status: Some(1),
            user: Some(5),
            partition: Some(2),
            ..SwfJob::default()
        };
        assert_eq!(log.jobs, [expected]);
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let error = read(text).expect_err("a damaged log").to_string();
        assert!(error.contains("log.swf") && error.contains(expected), "{error}");
    }

    #[test]
    fn damage_is_said_with_line_and_field() {
        check("", "line 1: the log holds no job");
        check("; MaxProcs: 4\n\n", "line 2: the log holds no job");
        check("; MaxProcs: many\n", "line 1, field `MaxProcs`: `many`");
        check("; MaxProcs: 0\n", "a number from 1");
        check(&format!("{LINE}\n1 2 3"), "line 2: 3 fields where 18 were expected");
        check(&format!("{LINE} 1"), "line 1: 19 fields");
        for (from, to, field) in [
            ("3 10.5", "x 10.5", "job number"),
            ("3 10.5", "-1 10.5", "job number"),
            ("3 10.5", "3 -1", "submit time"),
            ("-1 20 4", "-1 2e1 4", "run time"),
            ("20 4", "20 4.5", "allocated processors"),
            ("8 60", "8 99999999999999999999", "requested time"),
            ("1 5", "1 --5", "user"),
            ("7.38", "7.3.8", "average CPU time"),
            ("7.38", ".", "average CPU time"),
        ] {
            check(&LINE.replacen(from, to, 1), &format!("line 1, field `{field}`"));
        }
    }

    /// A job as its line says it.
    fn line(numbers: &[Option<u32>; 16], number: u64, submit_ms: u64) -> String {
        let time = |ms: u64| format!("{}.{:03}", ms / 1000, ms % 1000);
        let mut words = vec![number.to_string(), time(submit_ms)];
        for (at, value) in numbers.iter().enumerate() {
            words.push(match value {
                None => "-1".to_owned(),
                Some(ms) if [0, 1, 3, 6, 15].contains(&at) => time(u64::from(*ms)),
                Some(value) => value.to_string(),
            });
        }
        words.join(" ")
    }

    proptest! {
        #[test]
        fn whatever_stands_in_a_file_is_no_panic(text in "[0-9;:. \n\tMaxProcs\\-]{0,200}", raw in any::<String>()) {
            let _ = read(&text);
            let _ = read(&raw);
            let _ = read(&format!("{LINE}\n{raw}"));
        }

        #[test]
        fn what_is_written_is_read(
            rows in prop::collection::vec((any::<[Option<u32>; 16]>(), 0..1_u64 << 40, 0..1_u64 << 40), 1..20),
        ) {
            let text: Vec<String> = rows.iter().map(|(numbers, number, ms)| line(numbers, *number, *ms)).collect();
            let log = read(&text.join("\n")).expect("a log");
            prop_assert_eq!(log.jobs.len(), rows.len());
            for (job, (numbers, number, submit_ms)) in log.jobs.iter().zip(&rows) {
                let found = [
                    job.wait_ms, job.run_ms, job.processors_allocated, job.cpu_ms, job.memory_used_kib,
                    job.processors_requested, job.time_requested_ms, job.memory_requested_kib, job.status, job.user,
                    job.group, job.executable, job.queue, job.partition, job.preceding_job, job.think_ms,
                ];
                prop_assert_eq!((job.number, job.submit_ms), (*number, *submit_ms));
                prop_assert_eq!(found, numbers.map(|value| value.map(u64::from)));
            }
        }
    }
}
