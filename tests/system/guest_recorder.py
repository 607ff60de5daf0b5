# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the PC of vm.py: burns on the DVD+R recorder that tgt shows over iSCSI, into the folder that is named first."""
import os
import subprocess
import sys
import time

TARGET = "iqn.2001-04.lab:cd"


def run(*words, check=True):
    r = subprocess.run(words, capture_output=True, text=True)
    if check and r.returncode:
        raise RuntimeError(f"{words}: {r.stdout}{r.stderr}")
    return f"status {r.returncode}\n{r.stdout}{r.stderr}"


def begin():
    """The PC's folders are this machine's, read-only: where the daemons write is laid over."""
    for folder in ("/run", "/etc/iscsi", "/var/lib"):
        run("mount", "-t", "tmpfs", "tmpfs", folder)
    os.makedirs("/run/lock")
    run("ip", "link", "set", "lo", "up")
    with open("/etc/iscsi/initiatorname.iscsi", "w") as f:
        f.write("InitiatorName=iqn.1993-08.org.debian:01:lab\n")
    with open("/etc/iscsi/iscsid.conf", "w") as f:
        f.write("node.startup = manual\n")
    for daemon in (["tgtd", "-f"], ["iscsid", "-f"]):
        subprocess.Popen(daemon, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(3)
    tgtadm = ["tgtadm", "--lld", "iscsi", "--mode"]
    run(*tgtadm, "target", "--op", "new", "--tid", "1", "-T", TARGET)
    run("tgtimg", "--op", "new", "--device-type", "cd", "--type", "dvd+r", "--size", "100", "--file", "/mnt/disc")
    run(*tgtadm, "logicalunit", "--op", "new", "--tid", "1", "--lun", "1", "-b", "/mnt/disc", "--device-type", "cd")
    run(*tgtadm, "target", "--op", "bind", "--tid", "1", "-I", "ALL")
    run("iscsiadm", "-m", "discovery", "-t", "st", "-p", "127.0.0.1")
    run("iscsiadm", "-m", "node", "-l")
    for _ in range(100):
        if os.path.exists("/dev/sr0"):
            return
        time.sleep(0.1)
    raise RuntimeError("no recorder appeared")


def main():
    share, platter = sys.argv[1:3]
    begin()
    for name, words in (("before", ["list", "--json"]), ("burn", ["burn", "--json", "--verify", share + "/a.iso", "/dev/sr0"]),
                        ("after", ["list", "--json"]), ("rip", ["rip", "/dev/sr0", share + "/rip.iso"]),
                        ("again", ["burn", share + "/a.iso", "/dev/sr0"])):
        with open(f"{share}/{name}", "w") as f:
            f.write(run(platter, *words, check=False))


main()
