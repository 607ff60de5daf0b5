# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs in the PC of vm.py: what platter does with its optical drive, into the folder that is named first."""
import os
import subprocess
import sys
import time


def platter(binary, *words):
    r = subprocess.run([binary, *words], capture_output=True, text=True)
    return f"status {r.returncode}\n{r.stdout}{r.stderr}"


def main():
    share, binary = sys.argv[1:3]
    for _ in range(100):
        if os.path.exists("/dev/sr0"):
            break
        time.sleep(0.1)
    told = {"list": ["list", "--json"], "rip": ["rip", "/dev/sr0", share + "/rip.iso"],
            "burn": ["burn", share + "/rip.iso", "/dev/sr0"]}
    os.makedirs("/mnt/disc")
    for name, words in told.items():
        with open(f"{share}/{name}", "w") as f:
            f.write(platter(binary, *words))
    subprocess.run(["mount", "-t", "iso9660", "-o", "ro", "/dev/sr0", "/mnt/disc"], check=True)
    with open(share + "/mounted", "w") as f:
        f.write(platter(binary, "rip", "/dev/sr0", share + "/no.iso") + platter(binary, "list"))


main()
