package com.cloud.upgrade;

import com.cloud.cpu.CPU;
import com.cloud.hypervisor.Hypervisor.HypervisorType;
import com.cloud.utils.Pair;
import java.lang.reflect.Field;
import java.util.List;
import org.apache.cloudstack.utils.CloudStackVersion;
import sun.misc.Unsafe;

/**
 * Has a management server's own class read ./engine/schema/dist/systemvm-templates/metadata.ini, and asks it for the
 * hypervisors and architectures that its arguments name (KVM/x86_64). Prints the version, then for each of them what an
 * upgrade would take, or why it would stop, with tabs between the values.
 */
public class ReadMetadata {
    public static void main(String[] arguments) throws Exception {
        String version = SystemVmTemplateRegistration.parseMetadataFile();
        System.out.println("version\t" + version + "\t" + CloudStackVersion.parse(version));
        SystemVmTemplateRegistration registration = withoutDatabase();
        for (String argument : arguments) {
            String[] names = argument.split("/");
            Pair<HypervisorType, CPU.CPUArch> asked =
                    new Pair<>(HypervisorType.getType(names[0]), CPU.CPUArch.fromType(names[1]));
            System.out.println(argument + "\t" + verdictOn(registration, asked) + "\t" + describe(asked));
        }
    }

    private static String verdictOn(
            SystemVmTemplateRegistration registration, Pair<HypervisorType, CPU.CPUArch> asked) {
        try {
            registration.validateTemplates(List.of(asked));
            return "accepted";
        } catch (RuntimeException refusal) {
            return refusal.getMessage();
        }
    }

    private static String describe(Pair<HypervisorType, CPU.CPUArch> asked) {
        SystemVmTemplateRegistration.MetadataTemplateDetails found =
                SystemVmTemplateRegistration.getMetadataTemplateDetails(asked.first(), asked.second());
        if (found == null) return "";
        return String.join("\t", found.getName(), found.getFilename(), found.getUrl(), found.getChecksum(), found.getGuestOs());
    }

    /** Its constructor opens what only a server with a database has. */
    private static SystemVmTemplateRegistration withoutDatabase() throws Exception {
        Field unsafe = Unsafe.class.getDeclaredField("theUnsafe");
        unsafe.setAccessible(true);
        Object object = ((Unsafe) unsafe.get(null)).allocateInstance(SystemVmTemplateRegistration.class);
        return (SystemVmTemplateRegistration) object;
    }
}
