//! From jobs that ran to the bill: its lines are what the ledger posted, and open down to what each attempt used.

use serde_json::{Value, json};

use crate::site::Site;

fn sum(rows: &Value, field: &str) -> i64 {
    rows.as_array().expect("rows").iter().map(|row| row[field]["amount"].as_i64().expect("an amount")).sum()
}

#[test]
fn a_bill_is_what_the_ledger_posted_and_opens_down_to_attempts() {
    let site = Site::open();
    let ran = site.json(&[
        "run",
        "--tasks",
        "3",
        "--wait",
        "--",
        "sh",
        "-c",
        "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done",
    ]);
    assert_eq!(ran["state"], json!("succeeded"));
    let bill = site.json(&["bill", "show"]);
    let ledger = site.json(&["ledger", "balance"]);
    let accounts = ledger["accounts"].as_array().expect("accounts");
    let earned = accounts.iter().filter(|row| row["account"].as_str().is_some_and(|name| name.starts_with("centre:")));
    let earned: i64 = earned.map(|row| row["balance"].as_str().expect("text").parse::<i64>().expect("a number")).sum();
    assert_eq!((bill["total"]["amount"].as_i64(), sum(&bill["lines"], "cost")), (Some(earned), earned));
    let mut attempts = 0;
    for line in bill["lines"].as_array().expect("lines") {
        let name = line["line"].as_str().expect("a name");
        let records = site.json(&["bill", "show", "--trace", name]);
        assert_eq!(sum(&records["records"], "cost"), line["cost"]["amount"].as_i64().expect("an amount"));
        attempts += line["attempts"].as_u64().expect("a number");
    }
    assert_eq!(attempts, 3);
    let statements = site.json(&["bill", "ls", "--centres"]);
    assert_eq!(sum(&statements["bills"], "total"), earned);
    let page = site.cli(&["bill", "export", "--format", "html", "--language", "zh"]);
    assert!(page.stdout.contains("账单 B-") && page.exit == 0, "{page:?}");
    let growth = site.json(&["report", "growth", "--by", "quarter"]);
    assert_eq!(growth["by"], json!("quarter"));
    for (arguments, exit) in [
        (&["bill", "show", "--month", "soon"] as &[&str], 2),
        (&["bill", "show", "--tenant", "nobody"], 5),
        (&["bill", "show", "--trace", "nothing"], 5),
        (&["tariff", "add", "nowhere", "--price", "1"], 5),
        (&["tariff", "end", "7"], 5),
    ] {
        let ran = site.cli(arguments);
        assert!(ran.exit == exit && ran.stderr.contains("hint:"), "{arguments:?}: {ran:?}");
    }
}
