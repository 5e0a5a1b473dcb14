//! What a process in a sandbox can see, do and use.

use super::*;

#[test]
fn files_of_the_host_are_not_there() {
    for_each(async |runtime| {
        let room = Room::new();
        let script = "for p in /root /etc/shadow /etc/gitconfig /home/* /var/lib /opt /sys /mnt \
            /work /boot; do [ -e $p ] && echo $p; done; ls -A /tmp; ls -A /run; id -u; id -un; \
            touch /usr/x /etc/x /x /bin/x 2>/dev/null && echo wrote; \
            touch /dev/x 2>/dev/null && [ $(stat -f -c %b /dev) -gt 100000 ] && echo dev; \
            cat /etc/passwd | wc -l; cat /proc/timer_list 2>/dev/null | wc -c; \
            for p in /proc/sys/kernel/core_pattern /proc/sys/vm/swappiness \
            /proc/sysrq-trigger /proc/irq/default_smp_affinity; do \
            (: >> $p) 2>/dev/null && echo $p; done; \
            find /proc -not -path '/proc/[0-9]*' -type f -writable 2>/dev/null | \
            while read -r p; do [ -f $p ] && (: >> $p) 2>/dev/null && echo $p; done; \
            for p in /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev \
            /proc/keys /proc/timer_list /proc/sys /usr /usr/bin /etc /etc/passwd / /run/..; do \
            chmod u+w $p 2>/dev/null && echo chmod $p; done; \
            head -c 5 /dev/urandom | wc -c; echo x > /dev/null; \
            : > /dev/shm/a && rm /dev/shm/a; \
            touch /tmp/a /home/agent/a /var/tmp/a && echo private";
        let output = run(runtime, room.shell(script)).await;
        let expected = "/home/agent\n1000\nagent\n3\n0\n5\nprivate\n";
        assert_eq!(output.stdout, expected, "{}", output.stderr);
    });
}

#[test]
fn descriptors_of_the_worker_are_not_inherited() {
    for_each(async |runtime| {
        let room = Room::new();
        let output = run(runtime, room.shell("ls /proc/$$/fd")).await;
        assert_eq!(output.stdout, "0\n1\n2\n");
    });
}

#[test]
fn there_is_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("bound").port();
    for_each(async |runtime| {
        let room = Room::new();
        let script = format!(
            "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; wc -l < /proc/net/route; \
             bash -c ': < /dev/tcp/127.0.0.1/{port}' 2>&1 | tail -1; \
             bash -c ': < /dev/tcp/192.0.2.1/80' 2>&1 | tail -1"
        );
        let output = run(runtime, room.shell(&script)).await;
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines[..2], ["lo", "1"], "{}", output.stdout);
        assert!(lines[2].contains("Connection refused"), "{}", lines[2]);
        assert!(lines[3].contains("Network is unreachable"), "{}", lines[3]);
    });
}

#[test]
fn the_model_socket_is_reached_and_not_replaced() {
    for_each(async |runtime| {
        let room = Room::new();
        if !Path::new("/usr/bin/node").exists() {
            println!("skipped: no /usr/bin/node to connect with");
            return;
        }
        let folder = room.folder.path().join("model");
        fs::create_dir(&folder).expect("a folder");
        let socket = folder.join("model.sock");
        let listener = tokio::net::UnixListener::bind(&socket).expect("a listener");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            stream.write_all(b"from the worker").await.expect("written");
        });
        let program = "require('net').connect('/run/hostler/model.sock').pipe(process.stdout)";
        let mut spec = room.shell(&format!(
            "node -e \"{program}\"; rm -f /run/hostler/model.sock 2>/dev/null || echo; \
             touch /run/hostler/x 2>/dev/null || echo refused"
        ));
        spec.model_socket = Some(socket);
        let output = run(runtime, spec).await;
        assert_eq!(output.stdout, "from the worker\nrefused\n", "{}", output.stderr);
        server.await.expect("served");
    });
}

#[test]
fn there_are_no_privileges_and_no_way_to_more() {
    for_each(async |runtime| {
        let room = Room::new();
        let script = "grep -E '^(Cap|Seccomp:|NoNewPrivs|Uid|Gid|Groups)' /proc/self/status; \
            ulimit -c; cat /proc/self/uid_map | tr -s ' '";
        let output = run(runtime, room.shell(script)).await;
        for line in [
            "CapInh:\t0000000000000000",
            "CapPrm:\t0000000000000000",
            "CapEff:\t0000000000000000",
            "CapBnd:\t0000000000000000",
            "CapAmb:\t0000000000000000",
            "Seccomp:\t2",
            "NoNewPrivs:\t1",
            "Uid:\t1000\t1000\t1000\t1000",
            "Gid:\t1000\t1000\t1000\t1000",
        ] {
            assert!(output.stdout.lines().any(|one| one == line), "{line} in {}", output.stdout);
        }
        for refused in [
            "unshare -U true",
            "unshare -r true",
            "unshare -m true",
            "unshare -n true",
            "mount -t tmpfs none /tmp",
            "mount --bind /usr /tmp",
            "umount /tmp",
            "chroot / true",
            "nsenter -t 1 -m true",
        ] {
            let output = run(runtime, room.shell(refused)).await;
            assert_ne!(output.exit, Exit::Code(0), "{refused} did {}", output.stdout);
            assert_ne!(output.exit, Exit::Code(127), "{refused}: {}", output.stderr);
        }
    });
}

#[test]
fn the_kernels_side_doors_are_shut() {
    for_each(async |runtime| {
        if !Path::new("/usr/bin/perl").exists() {
            println!("skipped: no /usr/bin/perl to make system calls with");
            return;
        }
        let room = Room::new();
        let vsock = libc::AF_VSOCK;
        let algorithms = libc::AF_ALG;
        let new_user = libc::CLONE_NEWUSER | libc::SIGCHLD;
        for (name, number, first, error) in [
            ("add_key", libc::SYS_add_key, 0, libc::EPERM),
            ("bpf", libc::SYS_bpf, 0, libc::EPERM),
            ("clone", libc::SYS_clone, new_user, libc::EPERM),
            ("clone3", libc::SYS_clone3, 0, libc::ENOSYS),
            ("fsopen", libc::SYS_fsopen, 0, libc::EPERM),
            ("io_uring_setup", libc::SYS_io_uring_setup, 1, libc::EPERM),
            ("ioctl TIOCSTI", libc::SYS_ioctl, 0, libc::EPERM),
            ("keyctl", libc::SYS_keyctl, 0, libc::EPERM),
            ("open_by_handle_at", libc::SYS_open_by_handle_at, 0, libc::EPERM),
            ("perf_event_open", libc::SYS_perf_event_open, 0, libc::EPERM),
            ("process_vm_readv", libc::SYS_process_vm_readv, 0, libc::EPERM),
            ("setns", libc::SYS_setns, 0, libc::EPERM),
            ("socket AF_ALG", libc::SYS_socket, algorithms, libc::EPERM),
            ("socket AF_VSOCK", libc::SYS_socket, vsock, libc::EPERM),
            ("unshare", libc::SYS_unshare, 0, libc::EPERM),
            ("userfaultfd", libc::SYS_userfaultfd, 1, libc::EPERM),
        ] {
            let second = if number == libc::SYS_ioctl { 0x5412 } else { 1 };
            let call = format!("syscall({number}, {first}, {second}, 0, 0, 0); print $!+0");
            let output = run(runtime, room.spec(&["perl", "-e", &call])).await;
            assert_eq!(output.stdout, error.to_string(), "{name}: {}", output.stderr);
        }
        // What programs do need.
        let call = format!("syscall({}, 1, 1, 0) > 0 or die; print 'ok'", libc::SYS_socket);
        assert_eq!(run(runtime, room.spec(&["perl", "-e", &call])).await.stdout, "ok");
        if cfg!(target_arch = "x86_64") {
            let x32_getpid = 0x4000_0000 + libc::SYS_getpid;
            let call = format!("print syscall({x32_getpid}) > 0 ? 'done' : 'refused'");
            let output = run(runtime, room.spec(&["perl", "-e", &call])).await;
            // bubblewrap's filter refuses it; runc's kills.
            let killed = output.exit == Exit::Signal(libc::SIGSYS);
            assert!(output.stdout == "refused" || killed, "{}", output.stdout);
        }
    });
}

#[test]
fn only_its_own_processes_are_seen() {
    for_each(async |runtime| {
        let room = Room::new();
        let output = run(runtime, room.shell("ls /proc | grep -c '^[0-9]'; hostname")).await;
        let (count, host) = output.stdout.trim().split_once('\n').expect("two lines");
        assert!(count.parse::<u32>().expect("a number") <= 6, "{count}");
        assert_eq!(host, "sandbox");
    });
}

#[test]
fn a_memory_hog_is_killed_and_it_is_known_why() {
    for_each(async |runtime| {
        let room = Room::new();
        if !enforced(runtime, "memory") {
            return;
        }
        let mut spec = room.shell("dd if=/dev/zero of=/dev/null bs=300M count=1; echo $?");
        spec.limits.memory_bytes = 64 << 20;
        let mut sandbox = runtime.start(spec).await.expect("started");
        assert!(!sandbox.out_of_memory());
        read_until(&mut sandbox, "137").await;
        assert_eq!(sandbox.wait().await, Exit::Code(0));
        assert!(sandbox.out_of_memory());

        // The program itself.
        let mut spec = room.spec(&["dd", "if=/dev/zero", "of=/dev/null", "bs=300M", "count=1"]);
        spec.limits.memory_bytes = 64 << 20;
        let mut sandbox = runtime.start(spec).await.expect("started");
        assert_eq!(sandbox.wait().await, Exit::Signal(9));
        assert!(sandbox.out_of_memory());
    });
}

#[test]
fn a_fork_bomb_is_contained() {
    for_each(async |runtime| {
        let room = Room::new();
        if !enforced(runtime, "pids") {
            return;
        }
        // The shell gives up at the first fork that fails; its children stay.
        let script = "(for i in $(seq 100); do sleep 1000 & done) 2>/dev/null; echo full; read x";
        let mut spec = room.shell(script);
        spec.limits.pids = 20;
        let mut sandbox = runtime.start(spec).await.expect("started");
        read_until(&mut sandbox, "full").await;
        let n_running = sandbox.survivors().len();
        assert!((15..=20).contains(&n_running), "{:?}", sandbox.survivors());
        sandbox.kill();
        sandbox.wait().await;
        assert_eq!(sandbox.survivors(), [] as [i32; 0]);
    });
}

#[test]
fn private_folders_are_bounded() {
    for_each(async |runtime| {
        let room = Room::new();
        let script = "for f in /tmp /home/agent /workspace /var/tmp; do \
            head -c 8M /dev/zero 2>/dev/null > $f/big || echo full; rm $f/big; done";
        let mut spec = room.shell(script);
        spec.limits.tmp_bytes = 4 << 20;
        let output = run(runtime, spec).await;
        assert_eq!(output.stdout, "full\nfull\nfull\nfull\n", "{}", output.stderr);
    });
}
