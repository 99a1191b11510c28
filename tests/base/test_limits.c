/* What a container can give, read from trees of files made here: cgroup v1 and v2, nested groups, hidden ancestors. */
#define _GNU_SOURCE
#include "base/system_inner.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define MIB CHORD_MIB

static char root[64];

static void put(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *at = full + strlen(root) + 1; (at = strchr(at, '/')) != NULL; at++) {
        *at = '\0';
        mkdir(full, 0700);
        *at = '/';
    }
    FILE *file = fopen(full, "w");
    CHECK_SAY(file != NULL, "%s", full);
    if (file == NULL) exit(1);
    fputs(text, file);
    fclose(file);
}

static void put_mib(const char *path, uint64_t mib)
{
    char text[64];
    snprintf(text, sizeof text, "%" PRIu64 "\n", mib * MIB);
    put(path, text);
}

static void begin(void)
{
    snprintf(root, sizeof root, "/tmp/chord-limits-XXXXXX");
    if (mkdtemp(root) == NULL) exit(1);
    put("proc/meminfo", "MemTotal:       67108864 kB\nMemFree:   1 kB\nMemAvailable:   33554432 kB\n"); /* 32 GiB */
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    CHECK(system(command) == 0);
}

static void check_available(uint64_t free_mib)
{
    uint64_t want = free_mib < 1024   ? free_mib * MIB / 4 * 3
                    : free_mib < 2560 ? (free_mib - 256) * MIB
                                      : free_mib * MIB - free_mib * MIB / 10;
    uint64_t got = chord_linux_memory_available(root);
    CHECK_SAY(got == want, "%" PRIu64 " MiB, not %" PRIu64, got / MIB, want / MIB);
}

static void check_memory(uint64_t total_mib, uint64_t free_mib)
{
    chord_memory got;
    chord_linux_memory(root, &got);
    CHECK_SAY(got.total_bytes == total_mib * MIB && got.free_bytes == free_mib * MIB, "%" PRIu64 " of %" PRIu64 " MiB",
              got.free_bytes / MIB, got.total_bytes / MIB);
}

static void check_v1(void)
{
    begin();
    check_available(32768); /* no groups at all */
    check_memory(65536, 32768);
    put("proc/self/cgroup", "5:cpu,cpuacct:/job/step\n4:memory:/job/step\n1:name=systemd:/other\n");
    put("proc/self/mountinfo",
        "20 1 0:5 / / rw - ext4 /dev/sda rw\n"
        "33 20 0:30 / /sys/fs/cgroup/cpu rw,nosuid shared:8 master:2 - cgroup cgroup rw,cpuacct,cpu\n"
        "34 20 0:31 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put_mib("sys/fs/cgroup/memory/memory.usage_in_bytes", 50000);
    check_available(32768);
    put_mib("sys/fs/cgroup/memory/job/step/memory.limit_in_bytes", 4000);
    put_mib("sys/fs/cgroup/memory/job/step/memory.usage_in_bytes", 1500);
    check_available(2500);
    put("sys/fs/cgroup/memory/job/step/memory.stat",
        "cache 7\ninactive_file 1\nactive_file 1\nhierarchical_memory_limit 4194304000\n"
        "total_inactive_file 314572800\ntotal_active_file 209715200\n"); /* 300 + 200 MiB of file cache */
    check_available(3000);
    put_mib("sys/fs/cgroup/memory/job/memory.limit_in_bytes", 2000); /* the parent is tighter */
    put_mib("sys/fs/cgroup/memory/job/memory.usage_in_bytes", 1600);
    check_available(400);
    check_memory(2000, 400);
    put_mib("sys/fs/cgroup/memory/job/memory.usage_in_bytes", 2600); /* above its limit */
    CHECK(chord_linux_memory_available(root) == 0);
    check_memory(2000, 0);
    CHECK(chord_linux_cpu_quota(root) == UINT32_MAX);
    put("sys/fs/cgroup/cpu/job/step/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/job/step/cpu.cfs_period_us", "100000\n");
    CHECK(chord_linux_cpu_quota(root) == UINT32_MAX);
    put("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "250000\n");
    put("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
    CHECK(chord_linux_cpu_quota(root) == 3);
    end();
}

/* A container: the mount shows the tree from the container's group on, the process's path is the host's. */
static void check_v1_container(void)
{
    begin();
    put("proc/self/cgroup", "4:memory:/docker/abc/inner\n");
    put("proc/self/mountinfo", "34 20 0:31 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    put_mib("sys/fs/cgroup/memory/memory.limit_in_bytes", 3000);
    put_mib("sys/fs/cgroup/memory/memory.usage_in_bytes", 1000);
    put("sys/fs/cgroup/memory/memory.stat",
        "hierarchical_memory_limit 2621440000\n"); /* 2500 MiB: an ancestor that is not shown */
    check_available(1500);
    put_mib("sys/fs/cgroup/memory/inner/memory.limit_in_bytes", 800);
    put_mib("sys/fs/cgroup/memory/inner/memory.usage_in_bytes", 100);
    check_available(700);
    put("proc/self/cgroup", "4:memory:/docker/abcdef\n"); /* a neighbour whose name begins alike is not inside */
    check_available(1500);
    put("proc/self/cgroup", "4:memory:/../../elsewhere\n"); /* another namespace */
    check_available(1500);
    end();
}

static void check_v2(void)
{
    begin();
    put("proc/self/cgroup", "0::/user.slice/app.scope\n");
    char mounts[20000] = ""; /* the line that counts stands far behind */
    for (int i = 0; i < 150; i++)
        snprintf(mounts + strlen(mounts), sizeof mounts - strlen(mounts),
                 "%d 20 0:%d / /var/lib/containers/overlay/%d/merged rw,relatime - overlay overlay rw,lowerdir=/a:/b\n",
                 i, i, i);
    strcat(mounts, "35 20 0:32 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
    put("proc/self/mountinfo", mounts);
    put("sys/fs/cgroup/user.slice/app.scope/memory.max", "max\n");
    put("sys/fs/cgroup/user.slice/app.scope/memory.high", "max\n");
    put_mib("sys/fs/cgroup/user.slice/app.scope/memory.current", 600);
    check_available(32768);
    put_mib("sys/fs/cgroup/user.slice/memory.max", 4096);
    put_mib("sys/fs/cgroup/user.slice/memory.current", 1096);
    check_available(3000);
    put("sys/fs/cgroup/user.slice/memory.stat", "anon 1\nfile 5\ninactive_file 104857600\nactive_file 104857600\n");
    check_available(3200);
    check_memory(4096, 3200);
    put_mib("sys/fs/cgroup/user.slice/app.scope/memory.high", 1000);
    check_available(400);
    put("sys/fs/cgroup/user.slice/app.scope/cpu.max", "max 100000\n");
    CHECK(chord_linux_cpu_quota(root) == UINT32_MAX);
    put("sys/fs/cgroup/user.slice/app.scope/cpu.max", "150000 100000\n");
    CHECK(chord_linux_cpu_quota(root) == 2);
    put("sys/fs/cgroup/user.slice/cpu.max", "1000 100000\n");
    CHECK(chord_linux_cpu_quota(root) == 1);
    end();
}

static void check_broken(void)
{
    begin();
    put("proc/self/cgroup", "\n::\n4:memory\nrubbish without colons\n0::");
    put("proc/self/mountinfo", "\n-\n - \n34\n34 20 0:31 / /x rw - \n34 20 0:31 / /sys/fs/cgroup rw - cgroup2\n");
    put("sys/fs/cgroup/memory.max", "not a number");
    check_available(32768);
    put("proc/meminfo", "");
    CHECK(chord_linux_memory_available(root) == 0);
    check_memory(0, 0);
    end();
}

int main(void)
{
    check_v1();
    check_v1_container();
    check_v2();
    check_broken();
    CHECK(chord_memory_available_bytes() > 0);
    CHECK(chord_process_bytes() > 100000 && chord_process_bytes() < 1 << 30);
    printf("available here: %" PRIu64 " MiB, %u cores\n", chord_memory_available_bytes() / MIB, chord_cpu_cores());
    return check_done();
}
