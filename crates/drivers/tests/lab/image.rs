//! A container image for tests, of Debian's static busybox. It stays in podman's own store as `localhost/huisuan-test`
//! (2 MB), so that the next run finds it.

use std::{fs, process::Command, sync::OnceLock};

/// Programs of busybox that tests call.
const PROGRAMS: [&str; 16] = [
    "cat", "echo", "env", "false", "grep", "head", "id", "ls", "mv", "nc", "printf", "sh", "sleep", "touch", "tr",
    "true",
];

/// The image, by its digest.
pub(crate) fn image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let podman = |arguments: &[&str]| Command::new("podman").args(arguments).output().expect("podman is installed");
        let name = "localhost/huisuan-test:1";
        if !podman(&["image", "exists", name]).status.success() {
            let folder = tempfile::tempdir().expect("a scratch folder");
            let (root, archive) = (folder.path().join("root"), folder.path().join("image.tar"));
            fs::create_dir_all(root.join("bin")).expect("a folder");
            fs::create_dir_all(root.join("tmp")).expect("a folder");
            fs::copy("/bin/busybox", root.join("bin/busybox")).expect("busybox-static is installed");
            for program in PROGRAMS {
                std::os::unix::fs::symlink("busybox", root.join("bin").join(program)).expect("a link");
            }
            let tar = Command::new("tar").arg("-C").arg(&root).arg("-cf").arg(&archive).arg(".").status();
            assert!(tar.expect("tar").success());
            let made = podman(&["import", "--quiet", archive.to_str().expect("text"), name]);
            assert!(made.status.success(), "{made:?}");
        }
        let digest = podman(&["image", "inspect", "--format={{.Digest}}", name]);
        format!("localhost/huisuan-test@{}", String::from_utf8_lossy(&digest.stdout).trim())
    })
}
