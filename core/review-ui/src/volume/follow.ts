/** Let Svelte see a scene: what reads it through `follow` is repeated when the scene, or a finished edit of its masks, changes it. */
import { createSubscriber } from "svelte/reactivity";
import type { Checked } from "./checked";
import type { Clicks } from "./clicks";
import type { Editor, Settings } from "./editor";
import type { Masks } from "./masks";
import type { Scene } from "./scene";

export function follow(scene: Scene): () => Scene {
  const subscribe = createSubscriber((update) =>
    scene.on(({ what }) => {
      if (what !== "area") update();
    }),
  );
  return () => {
    subscribe();
    return scene;
  };
}

export function followMasks(masks: Masks): () => Masks {
  const subscribe = createSubscriber((update) =>
    masks.onchange((_, done) => {
      if (done) update();
    }),
  );
  return () => {
    subscribe();
    return masks;
  };
}

export function followClicks(clicks: Clicks | null): () => Clicks | null {
  const subscribe = createSubscriber((update) => clicks?.on(update));
  return () => {
    subscribe();
    return clicks;
  };
}

export function followChecked(checked: Checked): () => Checked {
  const subscribe = createSubscriber((update) => checked.on(update));
  return () => {
    subscribe();
    return checked;
  };
}

export function followSettings(editor: Editor): () => Readonly<Settings> {
  const subscribe = createSubscriber((update) => editor.on(update));
  return () => {
    subscribe();
    return editor.settings;
  };
}
