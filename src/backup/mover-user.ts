/** Whose files a mover without root can read: those of the pods that use the claim (R10.3). Pure. */
import { imageUser, type MoverUser } from '../cluster/mover-security.ts';
import { type KubeObject, listAt, textAt, valueAt } from '../cluster/object.ts';

/** The user and groups of the first pod that says as whom it runs, root excepted; else those of the image. */
export function userOf(pods: readonly KubeObject[], claimName: string): MoverUser {
  for (const pod of pods) {
    const inPod = valueAt(pod, 'spec', 'securityContext');
    const uid = numberAt(mounting(pod, claimName), 'securityContext', 'runAsUser') ?? numberAt(inPod, 'runAsUser');
    if (uid === undefined || uid === 0) continue;
    const gid = numberAt(mounting(pod, claimName), 'securityContext', 'runAsGroup') ?? numberAt(inPod, 'runAsGroup');
    const groups = [valueAt(inPod, 'fsGroup'), ...listAt(inPod, 'supplementalGroups')];
    return {
      uid,
      gid: gid ?? imageUser.gid,
      groups: [...new Set(groups.filter((group) => typeof group === 'number'))],
    };
  }
  return imageUser;
}

/** The container that has the volume; a pod may run others as somebody else. */
function mounting(pod: KubeObject, claimName: string): unknown {
  const volume = listAt(pod, 'spec', 'volumes').find(
    (one) => textAt(one, 'persistentVolumeClaim', 'claimName') === claimName,
  );
  const name = textAt(volume, 'name');
  return listAt(pod, 'spec', 'containers').find((container) =>
    listAt(container, 'volumeMounts').some((mount) => textAt(mount, 'name') === name),
  );
}

function numberAt(object: unknown, ...path: readonly string[]): number | undefined {
  const value = valueAt(object, ...path);
  return typeof value === 'number' ? value : undefined;
}
