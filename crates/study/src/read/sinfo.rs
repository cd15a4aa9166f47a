//! What nodes a Slurm site has, as `sinfo` tells it.

use super::{
    ReadError, Text,
    slurm::memory_bytes,
    table::{Layout, Table},
};

/// What to run at the site.
pub const COMMAND: &str = "sinfo --Node --format='%N|%P|%c|%m|%G'";

/// A node in one of its partitions; a node of several partitions is there several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinfoNode {
    /// Its name.
    pub name: String,
    /// The partition.
    pub partition: String,
    /// Its cores (hardware threads where the site counts those).
    pub cores: u32,
    /// Its memory.
    pub memory_bytes: u64,
    /// Its GPUs.
    pub devices: u32,
    /// Their type, or empty; of several types the first.
    pub part: String,
}

/// Reads nodes; every line is one, none is left out.
pub fn read_sinfo(text: &Text) -> Result<Vec<SinfoNode>, ReadError> {
    let needed = ["NODELIST", "PARTITION", "CPUS", "MEMORY", "GRES"];
    let layout = Layout { separator: b'|', quoted: false, needed: &needed, welcome: &[], others: true };
    let mut table = Table::open(text, layout)?;
    let mut nodes = Vec::new();
    while let Some(row) = table.row()? {
        let (devices, part) = row.read(4, "generic resources such as gpu:h100:4 or (null)", gpus)?;
        nodes.push(SinfoNode {
            name: row.text(0).to_owned(),
            // The default partition is marked with a star.
            partition: row.text(1).trim_end_matches('*').to_owned(),
            // `sinfo` writes `16+` for groups of unequal nodes; with --Node there are none.
            cores: row.parse(2, "a whole number of cores")?,
            memory_bytes: row.read(3, "memory in MiB", memory_bytes)?,
            devices,
            part,
        });
    }
    Ok(nodes)
}

/// How many GPUs and of which type: `gpu:h100:4(S:0-1)`, `gpu:4`, `(null)`.
fn gpus(found: &str) -> Option<(u32, String)> {
    let (mut devices, mut part) = (0_u32, String::new());
    if found == "(null)" || found.is_empty() {
        return Some((0, part));
    }
    // Sockets in parentheses may hold commas.
    let mut depth = 0;
    let plain: String = found
        .chars()
        .filter(|letter| {
            depth += i32::from(*letter == '(');
            let outside = depth == 0;
            depth -= i32::from(*letter == ')');
            outside
        })
        .collect();
    for resource in plain.split(',') {
        let fields: Vec<&str> = resource.split(':').collect();
        let (kind, count) = match fields[..] {
            ["gpu"] => ("", "1"),
            ["gpu", count] if count.parse::<u32>().is_ok() => ("", count),
            ["gpu", kind] => (kind, "1"),
            ["gpu", kind, count] => (kind, count),
            ["gpu", ..] => return None,
            _ => continue,
        };
        devices = devices.checked_add(count.parse().ok()?)?;
        if part.is_empty() {
            kind.clone_into(&mut part);
        }
    }
    Some((devices, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_read() {
        let text =
            "NODELIST|PARTITION|CPUS|MEMORY|GRES\nn1|batch*|16|16000|gpu:h100:4(S:0-1)\nn2|short|8|1024|(null)\n";
        let nodes = read_sinfo(&Text::new("nodes", text)).expect("well formed");
        let node = |name: &str, partition: &str, cores, mib: u64, devices, part: &str| SinfoNode {
            name: name.into(),
            partition: partition.into(),
            cores,
            memory_bytes: mib << 20,
            devices,
            part: part.into(),
        };
        assert_eq!(nodes, [node("n1", "batch", 16, 16_000, 4, "h100"), node("n2", "short", 8, 1024, 0, "")]);
    }

    #[test]
    fn generic_resources_are_read() {
        for (found, expected) in [
            ("(null)", Some((0, ""))),
            ("gpu:4", Some((4, ""))),
            ("gpu", Some((1, ""))),
            ("gpu:a100", Some((1, "a100"))),
            ("gpu:a:2(S:0,1),gpu:b:1,shard:8", Some((3, "a"))),
            ("craynetwork:4", Some((0, ""))),
            ("gpu:a:x", None),
            ("gpu:a:1:2", None),
        ] {
            let expected = expected.map(|(count, part): (u32, &str)| (count, part.to_owned()));
            assert_eq!(gpus(found), expected, "{found}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        fn check(line: &str, expected: &str) {
            let text = format!("NODELIST|PARTITION|CPUS|MEMORY|GRES\n{line}\n");
            let error = read_sinfo(&Text::new("nodes", text)).expect_err("malformed").to_string();
            assert!(error.contains("line 2") && error.contains(expected), "{error}");
        }
        check("n1|p|16+|1|", "field `CPUS`: `16+` where a whole number of cores");
        check("n1|p|16|lots|", "field `MEMORY`: `lots`");
        check("n1|p|16|1|gpu:a:b", "field `GRES`: `gpu:a:b`");
    }
}
