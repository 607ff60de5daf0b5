# SPDX-License-Identifier: GPL-3.0-or-later
"""In the emulated PC: guest_rescue.py SHARE PLATTER NAME=SIZE...: rescue the disk of each size (bytes) to SHARE/NAME.map,
with what was said in SHARE/NAME.  One called "stick" is pulled by the host when SHARE/ready appears."""
import glob
import os
import shutil
import subprocess
import sys
import time

share, platter = sys.argv[1:3]
wanted = {int(size): name for name, _, size in (a.partition("=") for a in sys.argv[3:])}


def found():
    disks = {}
    for folder in glob.glob("/sys/block/*"):
        with open(folder + "/size") as f:
            name = wanted.get(int(f.read()) * 512)
        if name:
            disks[name] = "/dev/" + os.path.basename(folder)
    return disks


# USB takes a while.
for _ in range(100):
    if len(found()) == len(wanted):
        break
    time.sleep(0.2)

os.makedirs("/mnt/out")
for name, device in sorted(found().items()):
    image, told = f"/mnt/out/{name}.img", os.path.join(share, name)
    p = subprocess.Popen([platter, "rescue", "--retries=0", device, image], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if name == "stick":
        while not os.path.exists(image) and p.poll() is None:
            time.sleep(0.05)
        time.sleep(1)
        with open(os.path.join(share, "ready"), "w"):
            pass
    out, _ = p.communicate()
    with open(told, "w") as f:
        f.write(f"status {p.returncode}\n{out.decode()}")
    shutil.copy(image + ".map", told + ".map")
    if name != "stick":
        shutil.copy(image, told + ".img")
    os.remove(image)
